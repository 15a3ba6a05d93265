"""The global history for pytest-alembic: the real alembic.ini on a file of the test's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.config import Config

from streamhub_orm.engine.connections import open_for_migration

if TYPE_CHECKING:
    from collections.abc import Iterator

INI = Path(__file__).parents[3] / "alembic.ini"


@pytest.fixture
def alembic_config() -> Config:
    """Choose the history as `alembic` does."""
    return Config(str(INI), ini_section="alembic")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return an empty file, as SQLite leaves one that was opened and never written."""
    path = tmp_path / "history.db"
    path.touch()
    return path


@pytest.fixture
def alembic_engine(database: Path) -> Iterator[sa.Engine]:
    """Give Alembic the engine that migrations run on: BEGIN IMMEDIATE, no driver transactions."""
    creator = partial(open_for_migration, database)
    engine = sa.create_engine("sqlite+immediate://", creator=creator, poolclass=sa.pool.QueuePool)
    yield engine
    engine.dispose()
