"""Sessions on a fresh installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.global_db import App, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir


SQLITE, POSTGRESQL = "sqlite", "postgresql"
ON_BOTH = frozenset(
    f"test_{name}"
    for name in (
        *("app_settings", "apps", "bad_values", "core", "invites", "ip_access", "ip_bans"),
        *("ip_rules", "logs", "magic_links", "memberships", "nodes", "paging", "quotas"),
        *("sign_ins", "tenants", "tokens", "totp", "users"),
    )
)
"""Modules about the global database: their tests run on a file, and on a server."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of these modules on each kind of global database."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if "databases" in metafunc.fixturenames and module in ON_BOTH:
        metafunc.parametrize("databases", [SQLITE, POSTGRESQL], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave a test, or one of its cases, to SQLite where it is marked as one of files."""
    left_out = [item for item in items if _is_of_files(item)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _is_of_files(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    on_server = callspec is not None and POSTGRESQL in callspec.params.values()
    return on_server and item.get_closest_marker("files") is not None


@pytest.fixture
def databases(request: pytest.FixtureRequest, streamhub_place: DataDir) -> Iterator[Databases]:
    """An installation with its one app `live`; its global database is a file, or on a server."""
    if getattr(request, "param", SQLITE) == SQLITE:
        with Databases(streamhub_place.root) as opened:
            yield opened
        return
    url = request.getfixturevalue("streamhub_global_url")
    with Databases(streamhub_place.root, global_url=url) as opened:
        with opened.global_session() as session:
            session.add(App(name="live", display_name="Live", livekit_room_prefix="live"))
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
