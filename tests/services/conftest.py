"""Sessions on a fresh installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.global_db import App, Tenant
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


@pytest.fixture
def acme(databases: Databases) -> Databases:
    """The same installation, where a tenant acme has the apps tv-2 and tv-3."""
    with databases.global_session() as session:
        session.add(Tenant(id="acme", name="Ácme"))
        session.add_all([App(name=name, tenant_id="acme") for name in ("tv-2", "tv-3")])
    for name in ("tv-2", "tv-3"):
        with databases.app_session(name, read_only=True) as session:
            session.connection()  # makes the file
    return databases
