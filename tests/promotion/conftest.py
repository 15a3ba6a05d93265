"""An installation whose global database has rows of every kind, and an empty database for it."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.server_url import ServerUrl
from tests.promotion.contents import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.plugin import MakeStreamHub
    from streamhub_orm.testing.postgresql import PostgresServer

_NUMBERS: Final = itertools.count(1)


@dataclass(frozen=True)
class Sides:
    """An installation, and the database that it is to be promoted to."""

    place: DataDir
    text: str
    """The URL, with its password."""

    @property
    def root(self) -> Path:
        return self.place.root

    @property
    def file(self) -> Path:
        return self.place.global_db

    @property
    def url(self) -> ServerUrl:
        return ServerUrl.parse(self.text, "the test's")


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of an empty database of the test's own."""
    name = f"promotion_{os.getpid()}_{next(_NUMBERS)}"
    yield postgres.create(name)
    postgres.drop(name)


@pytest.fixture
def sides(make_streamhub: MakeStreamHub, empty_url: str) -> Sides:
    """An installation with rows of every kind, and an empty database."""
    place = make_streamhub()
    fill(place.global_db)
    return Sides(place, empty_url)
