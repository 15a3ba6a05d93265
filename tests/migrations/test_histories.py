"""Both histories: one head, up, down and up again, step by step, and equal to the models."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.config import Config
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from pytest_alembic.tests.experimental import (
    test_all_models_register_on_metadata,
    test_downgrade_leaves_no_trace,
)

from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.engine.integrity import row_counts
from streamhub_orm.migrations.revisions import database_in_memory, route_down, run_revisions
from streamhub_orm.migrations.structure import Structure, read_structure
from streamhub_orm.migrations.worlds import APP, GLOBAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from pytest_alembic import MigrationContext

    from streamhub_orm.migrations.worlds import World

__all__ = [
    "test_all_models_register_on_metadata",
    "test_downgrade_leaves_no_trace",
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]

# pytest-alembic reflects by itself too, where an index on an expression makes SQLAlchemy warn.
pytestmark = [
    pytest.mark.history,
    pytest.mark.filterwarnings(
        "ignore:Skipped unsupported reflection of expression-based index:sqlalchemy.exc.SAWarning"
    ),
]

INI = Path(__file__).parents[2] / "alembic.ini"
SECTIONS = {"global": "alembic", "app": "app"}


@pytest.fixture(params=[GLOBAL, APP], ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> World:
    """Each kind of database in turn."""
    chosen: World = request.param
    return chosen


@pytest.fixture
def revisions(world: World) -> tuple[str, ...]:
    """All revisions, oldest first."""
    return tuple(script.revision for script in world.history)


@pytest.fixture
def alembic_config(world: World) -> Config:
    """Choose the history as `alembic` and `alembic -n app` do."""
    return Config(str(INI), ini_section=SECTIONS[world.name])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return an empty file, as SQLite leaves one that was opened and never written."""
    path = tmp_path / "history.db"
    path.touch()
    return path


@pytest.fixture
def alembic_engine(database: Path) -> Iterator[sa.Engine]:
    """Give Alembic a plain engine, as any program would."""
    engine = sa.create_engine(f"sqlite:///{database}")
    yield engine
    engine.dispose()


def look(path: Path) -> tuple[Structure, int, list[str]]:
    """Return the structure, user_version and the revision of a file."""
    with reading(path) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        return read_structure(connection), version, [str(row[0]) for row in rows]


def test_history_step_by_step_goes_up_down_and_up_again(
    alembic_runner: MigrationContext, database: Path, world: World, revisions: tuple[str, ...]
) -> None:
    """A downgrade takes back all that its upgrade did, user_version with it, and no more."""
    before = (Structure({}, {}, ()), 0, list[str]())
    for parent, revision in zip(("base", *revisions), revisions, strict=False):
        alembic_runner.migrate_up_to(revision, return_current=False)
        raised = look(database)
        assert raised[1:] == (world.user_version(revision), [revision])

        alembic_runner.migrate_down_to(parent, return_current=False)
        assert look(database) == before, revision

        alembic_runner.migrate_up_to(revision, return_current=False)
        assert look(database) == raised, revision
        before = raised


def test_history_from_base_to_head_and_back_leaves_no_table(
    alembic_runner: MigrationContext, database: Path
) -> None:
    """Nothing but Alembic's own empty table stays at base."""
    alembic_runner.migrate_up_to("head", return_current=False)
    alembic_runner.migrate_down_to("base", return_current=False)
    assert look(database) == (Structure({}, {}, ()), 0, [])


def test_history_is_linear_and_user_version_never_falls(
    world: World, revisions: tuple[str, ...]
) -> None:
    """Each revision follows the one before, and the Node core's number stops at its 8."""
    parents = [script.down_revision for script in world.history]
    versions = [world.user_version(revision) for revision in revisions]
    assert parents == [None, *revisions[:-1]]
    assert versions == sorted(versions)
    assert versions[-1] == 8
    assert world.user_version(world.parity) == 8


def fill(connection: sqlite3.Connection, structure: Structure) -> None:
    """Write two rows with a value in every column of every table."""
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for name, table in structure.tables.items():
        allowed = dict(re.findall(r"(\w+) in \( '([^']*)'", " ".join(table.checks)))
        columns = [column for column, it in table.columns.items() if not it.generated]
        marks = ", ".join("?" * len(columns))
        for number in (1001, 1002):
            values = [
                allowed.get(
                    column, number if table.columns[column].type != "TEXT" else f"v{number}"
                )
                for column in columns
            ]
            connection.execute(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})", values
            )


@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_step_deletes_no_row_of_a_table_that_stays(
    world: World, revisions: tuple[str, ...], direction: str
) -> None:
    """What the older schema cannot hold is refused by the environment, and dropped by no step."""
    faults = []
    for parent, revision in pairwise(("base", *revisions)):
        start, end = (parent, revision) if direction == "upgrade" else (revision, parent)
        with database_in_memory(world, start) as connection, connection.begin():
            raw = raw_connection(connection)
            fill(raw, read_structure(raw))
            before = row_counts(raw)
            if direction == "upgrade":
                run_revisions(connection, world, end)
            else:
                route_down(world, end).run(connection)
            after = row_counts(raw)
        faults += [
            f"{revision}: its {direction} deletes {rows - after[table]} of {rows} rows of {table}"
            for table, rows in before.items()
            if table != "alembic_version" and after.get(table, rows) < rows
        ]
    assert faults == []


def test_data_that_runs_twice_changes_nothing_more(world: World) -> None:
    """Adoption runs it on files of the Node core that have part of the step."""
    with database_in_memory(world) as connection, connection.begin():
        raw = raw_connection(connection)
        fill(raw, read_structure(raw))
        dumps = []
        for _ in range(2):
            for statement in world.data_until(world.head):
                raw.execute(statement)
            dumps.append(list(raw.iterdump()))
    assert dumps[0] == dumps[1]


def test_revisions_tell_what_they_do_and_how_to_go_back(world: World) -> None:
    """Every revision has a docstring, an upgrade and a downgrade with a docstring each."""
    for script in world.history:
        assert script.doc.strip()
        assert script.module.upgrade.__doc__
        assert script.module.downgrade.__doc__
