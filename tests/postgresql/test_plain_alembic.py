"""Plain Alembic and pytest-alembic on a server, over an engine that a program hands over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from pytest_alembic import Config
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)

from streamhub_orm.migrations.worlds import GLOBAL, SERVER_START

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]

pytestmark = [
    pytest.mark.history,
    pytest.mark.filterwarnings(
        "ignore:Skipped unsupported reflection of expression-based index:sqlalchemy.exc.SAWarning"
    ),
]

INI = Path(__file__).parents[2] / "alembic.ini"


@pytest.fixture
def alembic_config() -> Config:
    """Go down no further than a history begins on a server."""
    return Config(
        config_options={"file": str(INI)},
        minimum_downgrade_revision=SERVER_START,
    )


@pytest.fixture
def alembic_engine(empty_url: str) -> Iterator[sa.Engine]:
    """Give Alembic a plain engine, as any program would."""
    engine = sa.create_engine(empty_url)
    yield engine
    engine.dispose()


def config_of(connection: sa.Connection) -> AlembicConfig:
    config = AlembicConfig(str(INI))
    config.attributes["connection"] = connection
    return config


def revisions(connection: sa.Connection) -> list[str]:
    found = connection.execute(sa.text("SELECT to_regclass('alembic_version')")).scalar_one()
    query = sa.text("SELECT version_num FROM alembic_version")
    return [] if found is None else list(connection.execute(query).scalars())


def test_caller_owns_the_transaction(alembic_engine: sa.Engine) -> None:
    with alembic_engine.connect() as connection:
        with connection.begin() as transaction:
            command.upgrade(config_of(connection), "head")
            assert revisions(connection) == [GLOBAL.head]
            transaction.rollback()
        assert revisions(connection) == []
    with alembic_engine.begin() as connection:
        command.upgrade(config_of(connection), "head")
    with alembic_engine.connect() as connection:
        assert revisions(connection) == [GLOBAL.head]
        command.check(config_of(connection))


@pytest.mark.parametrize("target", ["base", "g0013"])
def test_nothing_lies_below_the_begin(alembic_engine: sa.Engine, target: str) -> None:
    with alembic_engine.connect() as connection:
        with pytest.raises(CommandError, match="an empty database"):
            command.downgrade(config_of(connection), target)
        connection.rollback()
        command.upgrade(config_of(connection), "head")
        with pytest.raises(CommandError, match=f"begins at {SERVER_START}"):
            command.downgrade(config_of(connection), target)
        connection.rollback()
        assert revisions(connection) == [GLOBAL.head]
