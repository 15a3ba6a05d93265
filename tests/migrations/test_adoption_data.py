"""What adoption does to rows, and which files it must not take for one of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import DatabaseFileError, NotADatabaseError
from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.migrations.built import at_head, bytes_of, executed, query, upgrade_file
from tests.support.installations.ddl import (
    APP_STEPS,
    GLOBAL_MONOLITH,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PLATFORM_QUOTAS = ("platform", 100000, 100000, 100000000, 100000, 100000)


def global_file(path: Path, step: int, runtime: Iterable[str] = (), script: str = "") -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        apply_steps(connection, GLOBAL_STEPS, step)
        apply_runtime(connection, runtime)
        connection.executescript(script)
    return path


def app_file(path: Path, step: int) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        apply_steps(connection, APP_STEPS, step)
    return path


@pytest.mark.parametrize("step", [4, 5, 6, 8])
def test_adoption_inserts_the_platform_tenant_where_it_is_absent(tmp_path: Path, step: int) -> None:
    """The platform tenant and its quotas are there at head, whether step 6 ran before or not."""
    path = global_file(tmp_path / "node.db", step)
    if step > 4:
        executed(path, "DELETE FROM quotas; DELETE FROM tenants")
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT id, name, plan FROM tenants") == [
        ("platform", "Platform", "platform")
    ]
    assert query(path, "SELECT * FROM quotas") == [PLATFORM_QUOTAS]


def test_adoption_keeps_a_platform_tenant_that_an_operator_changed(tmp_path: Path) -> None:
    """Insert if absent: a renamed tenant and edited quotas stay as they are."""
    edit = "UPDATE tenants SET name = 'Mine'; UPDATE quotas SET max_apps = 3"
    path = global_file(tmp_path / "node.db", 8, script=edit)
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT id, name FROM tenants") == [("platform", "Mine")]
    assert query(path, "SELECT max_apps FROM quotas") == [(3,)]


TENANCY = """
INSERT INTO apps (id, name, tenant_id) VALUES (1, 'live', 'acme'), (2, 'tv-2', NULL);
INSERT INTO api_tokens (id, name, token_hash, scope, app_id, tenant_id) VALUES
  (1, 'of the app', 'a', 'app', 1, 'platform'),
  (2, 'of all', 'b', 'global', 1, 'other'),
  (3, 'of none', 'c', 'app', NULL, NULL),
  (4, 'of a lost app', 'd', 'app', NULL, 'other'),
  (5, 'of the unowned', 'e', 'app', 2, NULL);
"""


@pytest.mark.parametrize("more", [(), ("apps.node_id", "users.name", "ip_bans")])
def test_adoption_repeats_the_tenancy_backfill_for_rows_written_since(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    """NULL becomes platform, a token of one app takes its app's tenant, the others keep theirs."""
    columns = ("apps.tenant_id", "api_tokens.tenant_id", *more)
    path = global_file(tmp_path / "node.db", 8, columns, TENANCY)
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT id, tenant_id FROM apps ORDER BY id") == [
        (1, "acme"),
        (2, "platform"),
    ]
    assert query(path, "SELECT id, tenant_id FROM api_tokens ORDER BY id") == [
        (1, "acme"),
        (2, "other"),
        (3, "platform"),
        (4, "other"),
        (5, "platform"),
    ]


def test_adoption_of_one_tenancy_column_fills_the_other(tmp_path: Path) -> None:
    """Where only apps has an owner yet, the tokens of an app take it."""
    rows = """
    INSERT INTO apps (id, name, tenant_id) VALUES (1, 'live', 'acme');
    INSERT INTO api_tokens (name, token_hash, scope, app_id) VALUES
      ('of the app', 'a', 'app', 1), ('of all', 'b', 'global', 1);
    """
    path = global_file(tmp_path / "node.db", 8, ["apps.tenant_id"], rows)
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT tenant_id FROM api_tokens ORDER BY id") == [("acme",), ("platform",)]


def test_adoption_of_a_monolith_keeps_its_streams_and_vods(tmp_path: Path) -> None:
    """The legacy tables of the global database stay, with their rows."""
    rows = "INSERT INTO vods (id, app_id, name) VALUES (9, 1, 'ż')"
    script = "".join(GLOBAL_MONOLITH.values()) + rows
    path = global_file(tmp_path / "node.db", 4, script=script)
    upgrade_file(path, GLOBAL)
    assert query(path, "SELECT id, app_id, name FROM vods") == [(9, 1, "ż")]
    assert query(path, "SELECT count(*) FROM streams") == [(0,)]


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_file_of_an_app_in_the_place_of_the_global_one_is_refused_untouched(
    tmp_path: Path, step: int
) -> None:
    """ingress_auth and _streamhub_meta are in both worlds, but apps is in the global one alone."""
    path = app_file(tmp_path / "streamhub.db", step)
    before = bytes_of(tmp_path)
    with pytest.raises(NotADatabaseError, match="the database of an app"):
        upgrade_file(path, GLOBAL)
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("step", [4, 8])
@pytest.mark.parametrize("legacy", ["", "".join(GLOBAL_MONOLITH.values())], ids=["", "monolith"])
def test_global_file_in_the_place_of_an_apps_is_refused_untouched(
    tmp_path: Path, step: int, legacy: str
) -> None:
    """A file that has the registry is no app's, though a monolith's has streams and vods too."""
    path = global_file(tmp_path / "app.db", step, script=legacy)
    before = bytes_of(tmp_path)
    with pytest.raises(NotADatabaseError, match="the global database"):
        upgrade_file(path, APP)
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("found", ["app", "global"])
def test_file_that_the_other_world_has_adopted_is_refused_untouched(
    tmp_path: Path, found: str
) -> None:
    """A revision of the other history is none of this one."""
    worlds = {"app": APP, "global": GLOBAL}
    path = at_head(tmp_path / "some.db", worlds[found])
    before = bytes_of(tmp_path)
    wrong = GLOBAL if found == "app" else APP
    with pytest.raises(DatabaseFileError, match=worlds[found].head):
        upgrade_file(path, wrong)
    assert bytes_of(tmp_path) == before
