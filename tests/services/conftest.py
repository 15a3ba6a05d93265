"""Sessions on a fresh installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.global_db import App, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases


@pytest.fixture
def databases(streamhub: Databases) -> Databases:
    """An installation with its one app `live`."""
    return streamhub


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
