"""The global history on a server: where it begins, what it refuses, and many at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    ControlPlaneDataLossError,
    ControlPlaneMissingError,
    ControlPlaneNewerError,
    ForeignControlPlaneError,
    UnknownRevisionError,
)
from streamhub_orm.global_db import metadata
from streamhub_orm.migrations.revisions import route_down
from streamhub_orm.migrations.server import (
    change_server,
    look_at_server,
    require_server,
    upgrade_server,
)
from streamhub_orm.migrations.server_structure import differences_of
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    from streamhub_orm.postgresql.engine import ServerEngine

MANY = 8


def rows(engine: ServerEngine, query: str) -> list[tuple[object, ...]]:
    with engine.connect(read_only=True) as connection, connection.begin():
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def change(engine: ServerEngine, *statements: str) -> None:
    with engine.connect() as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_empty_database_is_set_up_once(empty: ServerEngine) -> None:
    assert look_at_server(empty).state is State.MISSING
    with pytest.raises(ControlPlaneMissingError, match="an empty database"):
        require_server(empty)
    done = upgrade_server(empty)
    assert (done.from_revision, done.to_revision, done.changed) == (None, GLOBAL.head, True)
    again = upgrade_server(empty)
    assert (again.to_revision, again.changed) == (GLOBAL.head, False)
    assert rows(empty, "SELECT id FROM tenants") == [("platform",)]
    assert rows(empty, "SELECT max_apps FROM quotas") == [(100_000,)]


def test_what_the_history_builds_is_what_the_models_say(control_plane: ServerEngine) -> None:
    with control_plane.connect(read_only=True) as connection, connection.begin():
        assert differences_of(connection) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER TABLE users DROP COLUMN name", "add column users users.name"),
        ("DROP INDEX idx_users_email", "add index"),
        ("ALTER TABLE apps ALTER name DROP NOT NULL", "modify nullable apps name"),
        ("ALTER TABLE nodes ALTER last_seen_at TYPE TEXT", "modify type nodes last_seen_at"),
        ("ALTER TABLE api_tokens DROP CONSTRAINT fk_api_tokens_app_id_apps", "add fk"),
    ],
)
def test_drift_is_seen(control_plane: ServerEngine, statement: str, told: str) -> None:
    change(control_plane, statement)
    with control_plane.connect(read_only=True) as connection, connection.begin():
        found = differences_of(connection)
    assert any(told in it for it in found), found


def test_tables_and_columns_that_are_not_ours_are_no_drift(control_plane: ServerEngine) -> None:
    change(control_plane, "CREATE TABLE an_operators_own (id INT)")
    with control_plane.connect(read_only=True) as connection, connection.begin():
        assert differences_of(connection) == []


def test_database_of_another_program_is_refused_untouched(empty: ServerEngine) -> None:
    change(empty, "CREATE TABLE wp_posts (id INT)")
    for work in (upgrade_server, require_server):
        with pytest.raises(ForeignControlPlaneError, match="wp_posts"):
            work(empty)
    assert rows(
        empty, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    ) == [(1,)]


def test_database_of_another_alembic_is_refused(empty: ServerEngine) -> None:
    change(
        empty,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('1975ea83b712')",
    )
    with pytest.raises(ForeignControlPlaneError):
        upgrade_server(empty)


def test_newer_database_is_refused_untouched(control_plane: ServerEngine) -> None:
    change(control_plane, "UPDATE alembic_version SET version_num = 'g9999'")
    assert look_at_server(control_plane).state is State.NEWER
    with pytest.raises(ControlPlaneNewerError, match="g9999"):
        upgrade_server(control_plane)
    assert rows(control_plane, "SELECT version_num FROM alembic_version") == [("g9999",)]


@pytest.mark.parametrize("target", ["base", "g0013", "g0001"])
def test_downgrade_below_the_begin_is_refused(control_plane: ServerEngine, target: str) -> None:
    with pytest.raises(UnknownRevisionError, match="the history begins at g0014"):
        change_server(control_plane, route_down(GLOBAL, target), "downgrade")
    assert require_server(control_plane).state is State.CURRENT


def test_upgrades_by_many_processes_at_once_are_done_by_one(
    empty: ServerEngine, empty_url: str
) -> None:
    """Each ends well; one has made the tables, the others find them made."""
    code = (
        "import os\n"
        "from streamhub_orm.migrations.server import upgrade_server\n"
        "from streamhub_orm.postgresql.engine import ServerEngine\n"
        "from streamhub_orm.server_url import ServerUrl\n"
        "print(upgrade_server(ServerEngine(ServerUrl.load())).changed)\n"
    )
    environment = {**os.environ, "STREAMHUB_GLOBAL_URL": empty_url}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(MANY)
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0] * MANY
    assert sorted(said) == ["False"] * (MANY - 1) + ["True"]
    assert require_server(empty).state is State.CURRENT


def test_every_model_has_its_table(control_plane: ServerEngine) -> None:
    with control_plane.connect(read_only=True) as connection, connection.begin():
        found = set(sa.inspect(connection).get_table_names())
    assert found == set(metadata.tables) | {"alembic_version"}


def test_loss_of_a_downgrade_has_its_words() -> None:
    error = ControlPlaneDataLossError("postgresql://db/x", ["3 rows of table moves"])
    assert "3 rows of table moves that the downgrade would drop" in str(error)
