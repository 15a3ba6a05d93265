"""Sessions on a fresh installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.init import make_installation as init

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    """An installation with its one app `live`."""
    with Databases(init(tmp_path / "data").root) as opened:
        yield opened


@pytest.fixture
def app_session(databases: Databases) -> Iterator[Session]:
    """A session on the database of `live`, committed when the test has passed."""
    with databases.app_session("live") as session:
        yield session


@pytest.fixture
def global_session(databases: Databases) -> Iterator[Session]:
    """A session on the global database, committed when the test has passed."""
    with databases.global_session() as session:
        yield session
