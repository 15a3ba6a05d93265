"""Downgrade: never a silent loss, never without a backup, and the same by either command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import DataLossError, UnadoptedDatabaseError, UnknownRevisionError
from streamhub_orm.init import make_installation
from streamhub_orm.migrations.downgrading import downgrade_file
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from tests.migrations.built import at_head, bytes_of, drift_of, executed, query, upgrade_file
from tests.support.installations.commands import run_alembic, run_in_process
from tests.support.installations.ddl import APP_STEPS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

LOSSES = {
    "table": (
        GLOBAL,
        "INSERT INTO ip_rules (cidr, action) VALUES ('10.0.0.0/8', 'block'), ('::1', 'allow')",
        "g0012",
        "2 rows of table ip_rules",
    ),
    "column": (
        GLOBAL,
        "INSERT INTO users (id, totp_secret) VALUES ('u', 'secret'), ('v', NULL)",
        "g0010",
        "1 values of column users.totp_secret",
    ),
    "column with a default": (
        GLOBAL,
        "INSERT INTO users (id, status) VALUES ('u', 'blocked'), ('v', 'active')",
        "g0010",
        "1 values of column users.status",
    ),
    "owner of an app": (
        GLOBAL,
        "INSERT INTO apps (name, tenant_id) VALUES ('live', 'acme'), ('tv-2', 'platform')",
        "g0008",
        "1 values of column apps.tenant_id",
    ),
    "narrowed CHECK": (
        APP,
        (
            "INSERT INTO streams (app_id, stream_id, type) "
            "VALUES (1, '', 'ws-mjpeg'), (1, 'b', 'whip')"
        ),
        "a0007",
        "1 rows of table streams that the older CHECK",
    ),
    "all of it": (
        APP,
        "INSERT INTO vods (app_id, name) VALUES (1, 'ż')",
        "base",
        "1 rows of table vods",
    ),
    "tenant of one's own": (
        GLOBAL,
        "INSERT INTO tenants (id, name) VALUES ('acme', 'Acme')",
        "g0004",
        "1 rows of table tenants",
    ),
    "platform tenant that was renamed": (
        GLOBAL,
        "UPDATE tenants SET name = 'Mine'",
        "g0004",
        "1 rows of table tenants",
    ),
}


@pytest.mark.parametrize(("world", "script", "target", "named"), LOSSES.values(), ids=LOSSES)
def test_downgrade_that_would_lose_something_is_refused_untouched(
    tmp_path: Path, world: World, script: str, target: str, named: str
) -> None:
    """Rows and values that the older schema cannot hold are named, and not a byte changes."""
    path = at_head(tmp_path / "some.db", world, script)
    before = bytes_of(tmp_path)
    with pytest.raises(DataLossError) as refused:
        downgrade_file(path, world, target)
    assert any(loss.startswith(named) for loss in refused.value.losses), refused.value.losses
    assert "drop-rows" in str(refused.value)
    assert "secret" not in str(refused.value).replace("totp_secret", "")
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(("world", "script", "target", "named"), LOSSES.values(), ids=LOSSES)
def test_downgrade_that_may_drop_rows_does_and_backs_them_up_first(
    tmp_path: Path, world: World, script: str, target: str, named: str
) -> None:
    """Given up explicitly, the rows go; the backup of the same run keeps them."""
    path = at_head(tmp_path / "some.db", world, script)
    done = downgrade_file(path, world, target, drop_rows=True)
    reached = None if target == "base" else target
    assert (done.from_revision, done.to_revision) == (world.head, reached)
    assert drift_of(path, world, target).lines() == [] if reached else True
    assert done.backup is not None
    assert look_at(done.backup, world).state is State.CURRENT
    with pytest.raises(DataLossError, match=named.replace("(", "[(]")):
        downgrade_file(done.backup, world, target)


def test_downgrade_over_the_narrowed_check_keeps_every_other_row(tmp_path: Path) -> None:
    """Rows that the older CHECK allows stay under their ids; only the ws-mjpeg one is dropped."""
    rows = "(3, 1, 'a', 'ws-mjpeg'), (5, 1, 'b', 'rtmp'), (9, 1, 'c', 'whip')"
    script = f"INSERT INTO streams (id, app_id, stream_id, type) VALUES {rows}"
    path = at_head(tmp_path / "app.db", APP, script)
    downgrade_file(path, APP, "a0007", drop_rows=True)
    assert query(path, "SELECT id, type FROM streams ORDER BY id") == [(5, "rtmp"), (9, "whip")]


@pytest.mark.parametrize("world", [GLOBAL, APP], ids=lambda world: world.name)
def test_downgrade_of_a_file_without_own_rows_goes_to_base_and_up_again(
    tmp_path: Path, world: World
) -> None:
    """The platform tenant is the history's own row: it is no loss and comes back by upgrading."""
    path = at_head(tmp_path / "some.db", world)
    done = downgrade_file(path, world, "base")
    assert (done.to_revision, query(path, "PRAGMA user_version")) == (None, [(0,)])
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_master")}
    assert tables <= {"alembic_version", "sqlite_sequence", "sqlite_autoindex_alembic_version_1"}

    upgrade_file(path, world)

    assert drift_of(path, world).lines() == []
    assert look_at(path, world).state is State.CURRENT


@pytest.mark.parametrize("world", [GLOBAL, APP], ids=lambda world: world.name)
def test_downgrade_step_by_step_to_base_and_up_again_keeps_user_version_in_step(
    tmp_path: Path, world: World
) -> None:
    """`-1` goes down one revision at a time, each with the Node core's number of that step."""
    path = at_head(tmp_path / "some.db", world)
    below = [None, *(script.revision for script in world.history)][:-1]
    for revision in reversed(below):
        done = downgrade_file(path, world, "-1")
        assert done.to_revision == revision
        assert query(path, "PRAGMA user_version") == [(world.user_version(revision),)]
        assert drift_of(path, world, revision).lines() == [] if revision else True


def test_downgrade_past_the_platform_tenant_keeps_its_members_and_quotas(tmp_path: Path) -> None:
    """Step 6 only inserts rows, so going below it takes none away that others built on."""
    script = """
    INSERT INTO users (id) VALUES ('u');
    INSERT INTO memberships (user_id, tenant_id, role) VALUES ('u', 'platform', 'owner');
    UPDATE quotas SET max_apps = 7;
    """
    path = at_head(tmp_path / "some.db", GLOBAL, script)
    downgrade_file(path, GLOBAL, "g0005")
    assert query(path, "SELECT user_id, tenant_id, role FROM memberships") == [
        ("u", "platform", "owner")
    ]
    assert query(path, "SELECT tenant_id, max_apps FROM quotas") == [("platform", 7)]
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT tenant_id, max_apps FROM quotas") == [("platform", 7)]


def test_downgrade_to_parity_and_up_again_keeps_rows_and_user_version(tmp_path: Path) -> None:
    """What our own revisions add comes off without a loss of what was there before."""
    script = "INSERT INTO users (id, email, totp_secret) VALUES ('u', 'A@b', 's')"
    path = at_head(tmp_path / "some.db", GLOBAL, script)
    columns = "id, email, totp_secret, status, created_at"
    before = query(path, f"SELECT {columns} FROM users")
    downgrade_file(path, GLOBAL, GLOBAL.parity)
    assert query(path, "PRAGMA user_version") == [(8,)]
    upgrade_file(path, GLOBAL)
    assert query(path, f"SELECT {columns} FROM users") == before


def test_downgrade_to_where_the_file_stands_does_nothing(tmp_path: Path) -> None:
    """There is nothing to do, so nothing is backed up and nothing is written."""
    path = at_head(tmp_path / "some.db", APP)
    before = bytes_of(tmp_path)
    assert not downgrade_file(path, APP, APP.head).changed
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("target", ["g0001", "a9999", "nonsense", "+1", "-99"])
def test_downgrade_to_a_revision_that_is_not_below_is_refused_untouched(
    tmp_path: Path, target: str
) -> None:
    """The other history's revisions, unknown ones and upward steps are no target."""
    path = at_head(tmp_path / "some.db", APP)
    before = bytes_of(tmp_path)
    with pytest.raises(UnknownRevisionError, match="streamhub-db history"):
        downgrade_file(path, APP, target)
    assert bytes_of(tmp_path) == before


def test_downgrade_of_an_unadopted_file_is_refused_untouched(tmp_path: Path) -> None:
    """Only an upgrade adopts a file; a downgrade says so."""
    path = executed(tmp_path / "app.db", "".join(APP_STEPS.values()))
    before = bytes_of(tmp_path)
    with pytest.raises(UnadoptedDatabaseError, match="Upgrade it first"):
        downgrade_file(path, APP, "a0007")
    assert bytes_of(tmp_path) == before


def test_downgrade_by_both_commands_ends_in_the_same_contents(tmp_path: Path) -> None:
    """`streamhub-db downgrade` and `alembic downgrade` refuse, drop and reach the same."""
    contents = {}
    for command in ("streamhub-db", "alembic"):
        data_dir = tmp_path / command
        make_installation(data_dir)
        app_db = data_dir / "apps" / "live" / "app.db"
        rows = "('a', 1, 'ws-mjpeg'), ('b', 1, 'rtsp')"
        executed(app_db, f"INSERT INTO streams (stream_id, app_id, type) VALUES {rows}")
        before = bytes_of(data_dir)

        refused = downgrade_live(command, data_dir, drop_rows=False)
        assert refused[0] != 0
        assert "older CHECK" in refused[1]
        assert bytes_of(data_dir) == before

        assert downgrade_live(command, data_dir, drop_rows=True)[0] == 0
        assert len(list_backups(app_db)) == 1
        schema = query(app_db, "SELECT name, sql FROM sqlite_master ORDER BY rowid")
        streams = query(app_db, "SELECT stream_id, type FROM streams")
        contents[command] = (schema, streams, look_at(app_db, APP).revision)

    assert contents["streamhub-db"] == contents["alembic"]
    assert contents["alembic"][1:] == ([("b", "rtsp")], "a0007")


def downgrade_live(command: str, data_dir: Path, *, drop_rows: bool) -> tuple[int, str]:
    """Take the app live down to a0007 by one of the two commands; return status and messages."""
    if command == "alembic":
        options = ["-x", "app=live", *(["-x", "drop-rows=yes"] if drop_rows else [])]
        outcome = run_alembic("-n", "app", *options, "downgrade", "a0007", data_dir=data_dir)
    else:
        options = ["--app", "live", *(["--drop-rows"] if drop_rows else [])]
        outcome = run_in_process("--data-dir", data_dir, "downgrade", *options, "a0007")
    return outcome.status, outcome.stdout + outcome.stderr
