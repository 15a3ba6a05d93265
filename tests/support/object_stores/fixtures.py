"""The fixtures of `tests.support.object_stores`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import LocalStore, ObjectStore
    from streamhub_orm.storage.s3 import S3Store


@pytest.fixture
def s3_settings(streamhub_s3_settings: S3Settings) -> S3Settings:
    return streamhub_s3_settings


@pytest.fixture
def s3_store(streamhub_s3: S3Store) -> S3Store:
    return streamhub_s3


@pytest.fixture
def local_store(streamhub_store: LocalStore) -> LocalStore:
    return streamhub_store


@pytest.fixture(params=["s3", "local"])
def object_store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each kind of store in turn."""
    store: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return store
