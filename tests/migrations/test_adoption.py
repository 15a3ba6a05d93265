"""Adoption: a file of the Node core gets the revision that its real structure stands at."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import MigrationFailedError, UnknownStructureError
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL, World
from tests.migrations.built import bytes_of, drift_of, executed, query, upgrade_file
from tests.support.installations.ddl import (
    APP_STEPS,
    GLOBAL_MONOLITH,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    LITESTREAM,
    PASSWORD_RESETS,
    apply_runtime,
    apply_steps,
    close_over_needs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.history

STEPS = {GLOBAL: GLOBAL_STEPS, APP: APP_STEPS}
FIRST_ROW = {
    GLOBAL: "INSERT INTO apps (id, name, created_at) VALUES (7, 'zażółć', '2024-01-01 00:00')",
    APP: "INSERT INTO streams (id, app_id, stream_id, type) VALUES (7, 1, 'room/zażółć', 'rtmp')",
}
READ_FIRST_ROW = {
    GLOBAL: "SELECT id, name, created_at FROM apps",
    APP: "SELECT id, stream_id, type FROM streams",
}
PREFIXES = [(world, step) for world in STEPS for step in range(1, 9)]


def node_file(path: Path, world: World, step: int, runtime: Iterable[str] = ()) -> Path:
    """Write what the Node core writes up to a step, with one row in its first table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        apply_steps(connection, STEPS[world], step)
        apply_runtime(connection, runtime)
        connection.executescript(FIRST_ROW[world])
    return path


def assert_at_head(path: Path, world: World) -> None:
    """Structure, revision and user_version are those of head."""
    assert drift_of(path, world).lines() == []
    assert look_at(path, world).state is State.CURRENT
    assert query(path, "PRAGMA user_version") == [(8,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("claimed", [None, "too low", "too high"])
@pytest.mark.parametrize(("world", "step"), PREFIXES, ids=lambda it: getattr(it, "name", it))
def test_adoption_of_any_step_reaches_head_whatever_user_version_claims(
    tmp_path: Path, world: World, step: int, claimed: str | None
) -> None:
    """The structure counts: a file whose user_version is too low or too high ends at head too."""
    path = node_file(tmp_path / "node.db", world, step)
    if claimed is not None:
        executed(path, f"PRAGMA user_version = {0 if claimed == 'too low' else 8}")
    before = query(path, READ_FIRST_ROW[world])

    done = upgrade_file(path, world)

    assert_at_head(path, world)
    assert (done.from_revision, done.to_revision) == (None, world.head)
    assert query(path, READ_FIRST_ROW[world]) == before
    assert done.backup is not None
    assert query(done.backup, READ_FIRST_ROW[world]) == before


@pytest.mark.parametrize("name", GLOBAL_RUNTIME)
def test_adoption_of_one_addition_alone_completes_the_others(tmp_path: Path, name: str) -> None:
    """One thing that the Node core adds at run time is there, and none of those before it."""
    lowest = max(GLOBAL_RUNTIME[it].step for it in close_over_needs([name]))
    path = node_file(tmp_path / "node.db", GLOBAL, max(lowest, 1), [name])
    upgrade_file(path, GLOBAL)
    assert_at_head(path, GLOBAL)
    assert query(path, "SELECT tenant_id FROM apps") == [("platform",)]


@pytest.mark.parametrize("seed", range(10))
def test_adoption_of_a_random_combination_reaches_head(tmp_path: Path, seed: int) -> None:
    """Any step, any run-time additions that it can bear, any user_version, monolith or not."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    step = chance.randint(1, 8)
    possible = [
        name
        for name in GLOBAL_RUNTIME
        if max(GLOBAL_RUNTIME[it].step for it in close_over_needs([name])) <= step
    ]
    chosen = [name for name in possible if chance.random() < 0.4]
    path = node_file(tmp_path / "node.db", GLOBAL, step, chosen)
    if chance.random() < 0.5:
        executed(path, "".join(GLOBAL_MONOLITH.values()))
    executed(path, f"PRAGMA user_version = {chance.randint(0, 8)}")

    upgrade_file(path, GLOBAL)

    assert_at_head(path, GLOBAL)
    assert query(path, READ_FIRST_ROW[GLOBAL]) == [(7, "zażółć", "2024-01-01 00:00")]


OWN = """
CREATE TABLE billing (id INTEGER PRIMARY KEY, invoice TEXT);
INSERT INTO billing VALUES (1, 'żółw');
"""


@pytest.mark.parametrize("world", STEPS, ids=lambda world: world.name)
@pytest.mark.parametrize("step", [2, 7])
def test_adoption_leaves_what_is_not_ours_alone(tmp_path: Path, world: World, step: int) -> None:
    """An operator's table, column, index, trigger and a replication tool's tables stay whole."""
    path = node_file(tmp_path / "node.db", world, step)
    table = {GLOBAL: "apps", APP: "streams"}[world]
    executed(
        path,
        f"{OWN}{LITESTREAM}ALTER TABLE {table} ADD own TEXT DEFAULT 'mine';"
        f"CREATE INDEX own_index ON {table} (own);"
        f"CREATE TRIGGER own_trigger AFTER INSERT ON {table} BEGIN"
        " INSERT INTO billing VALUES (NULL, new.id); END;",
    )

    upgrade_file(path, world)

    assert_at_head(path, world)
    assert query(path, "SELECT * FROM billing") == [(1, "żółw")]
    assert query(path, "SELECT * FROM _litestream_seq") == [(1, 42)]
    assert query(path, f"SELECT own FROM {table}") == [("mine",)]
    extras = ["billing", "_litestream_lock", "_litestream_seq", f"{table}.own", "own_index"]
    assert {it.split()[1] for it in drift_of(path, world).extras} == {*extras, "own_trigger"}


@pytest.mark.parametrize("runtime", [(), ("sessions", "magic_tokens.kind")])
def test_password_resets_of_the_first_release_are_kept_without_a_report(
    tmp_path: Path, runtime: tuple[str, ...]
) -> None:
    """Global database, "`password_resets` (first release only; later ones leave it alone)"."""
    path = node_file(tmp_path / "node.db", GLOBAL, 5, close_over_needs(runtime))
    row = ("2024-01-31T12:00:00.000Z", "2024-01-31T12:30:00.000Z")
    columns = "token_hash, user_id, email, created_at, expires_at"
    values = f"'h', 'u', 'e@x', '{row[0]}', '{row[1]}'"
    insert = f"INSERT INTO password_resets ({columns}) VALUES ({values})"
    executed(path, PASSWORD_RESETS + insert)
    before = query(path, "SELECT sql FROM sqlite_master WHERE tbl_name = 'password_resets'")
    upgrade_file(path, GLOBAL)
    assert_at_head(path, GLOBAL)
    assert drift_of(path, GLOBAL).extras == []
    assert query(path, "SELECT created_at, expires_at FROM password_resets") == [row]
    after = query(path, "SELECT sql FROM sqlite_master WHERE tbl_name = 'password_resets'")
    assert (after, len(after)) == (before, 4)


UNKNOWN = {
    "none of ours": (APP, "DROP TABLE streams; CREATE TABLE mine (id INTEGER)", "only mine"),
    "column missing": (GLOBAL, "ALTER TABLE apps DROP created_at", "apps.created_at is missing"),
    "other type": (APP, "DROP TABLE streams; CREATE TABLE streams (id TEXT)", "streams.id is TEXT"),
    "other CHECK": (
        APP,
        APP_STEPS[2].replace("'failed'", "'lost'"),
        "CHECK of table vods",
    ),
    "other index": (
        GLOBAL,
        GLOBAL_STEPS[2].replace("api_tokens(token_hash)", "api_tokens(name)"),
        "index idx_api_tokens_hash",
    ),
    "no ON DELETE": (
        GLOBAL,
        GLOBAL_STEPS[2].replace(" ON DELETE CASCADE", ""),
        "foreign keys of table api_tokens",
    ),
}


@pytest.mark.parametrize(("world", "script", "named"), UNKNOWN.values(), ids=UNKNOWN)
def test_adoption_of_an_unknown_structure_is_refused_untouched(
    tmp_path: Path, world: World, script: str, named: str
) -> None:
    """A file that fits no step is refused with the difference, and not a byte of it changes."""
    path = executed(node_file(tmp_path / "node.db", world, 1), script)
    before = bytes_of(tmp_path)
    with pytest.raises(UnknownStructureError) as refused:
        upgrade_file(path, world)
    assert any(named in line for line in refused.value.differences), refused.value.differences
    assert str(path) in str(refused.value)
    assert named in str(refused.value)
    assert bytes_of(tmp_path) == before


def test_adoption_that_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Completed columns, stamp and user_version roll back together when a later step fails."""
    path = node_file(tmp_path / "node.db", GLOBAL, 5)
    executed(
        path,
        "CREATE UNIQUE INDEX one_each ON tenants (plan);"
        "INSERT INTO tenants (id, name, plan) VALUES ('tnt_1', 'First', 'platform')",
    )
    before = query(path, "SELECT name, sql FROM sqlite_master")
    with pytest.raises(MigrationFailedError, match=r"UNIQUE constraint .* while upgrading it"):
        upgrade_file(path, GLOBAL)
    assert query(path, "SELECT name, sql FROM sqlite_master") == before
    assert query(path, "PRAGMA user_version") == [(5,)]
    assert look_at(path, GLOBAL).state is State.UNADOPTED


@pytest.mark.parametrize("world", STEPS, ids=lambda world: world.name)
def test_adoption_of_a_file_without_a_byte_builds_all_of_it_without_a_backup(
    tmp_path: Path, world: World
) -> None:
    """An interrupted open leaves an empty file: it holds nothing, so nothing is backed up."""
    path = tmp_path / "empty.db"
    path.touch()
    done = upgrade_file(path, world)
    assert_at_head(path, world)
    assert done.backup is None
    assert list_backups(path) == []


def test_adoption_of_a_file_with_an_empty_alembic_version_is_as_without_it(tmp_path: Path) -> None:
    """A table alembic_version without a row says nothing about the revision."""
    path = node_file(tmp_path / "node.db", APP, 6)
    executed(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    upgrade_file(path, APP)
    assert_at_head(path, APP)
