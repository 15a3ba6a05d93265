"""A server with an empty database of the test's own."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.init import make_installation
from streamhub_orm.migrations.global_database import engine_of
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.server_url import URL_VARIABLE, ServerUrl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer

_NUMBERS = itertools.count(1)


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of a database without a table."""
    name = f"empty_{os.getpid()}_{next(_NUMBERS)}"
    yield postgres.create(name)
    postgres.drop(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[ServerEngine]:
    """An engine on it."""
    engine = ServerEngine(ServerUrl.parse(empty_url, "the test's"))
    yield engine
    engine.close()


@pytest.fixture
def control_plane(streamhub_global_url: str) -> Iterator[ServerEngine]:
    """An engine on a control plane at head."""
    engine = ServerEngine(ServerUrl.parse(streamhub_global_url, "the test's"))
    yield engine
    engine.close()


@pytest.fixture
def node(streamhub_global_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    """A node with the app `live`, whose commands find the control plane in the environment."""
    monkeypatch.setenv(URL_VARIABLE, streamhub_global_url)
    return make_installation(tmp_path / "node")


@pytest.fixture
def control_plane_of(node: DataDir) -> Iterator[ServerEngine]:
    """An engine on the control plane of `node`."""
    engine = engine_of(node)
    yield engine
    engine.close()
