"""Common part of the stores: name, prefix, and the local file of a transfer."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from streamhub_orm.errors import (
    MissingObjectError,
    ObjectExistsError,
    StoreDeniedError,
    StoreFaultError,
)
from streamhub_orm.storage.contract import ObjectInfo
from streamhub_orm.storage.keys import object_key, require_key
from streamhub_orm.storage.verified import VerifiedReader, sha256_of, write_verified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class BaseStore(ABC):
    """Part of `ObjectStore` that does not depend on where the objects lie."""

    def __init__(self, name: str, prefix: str) -> None:
        """Keep the name for errors, and the prefix of all keys."""
        self.name = name
        self.prefix = prefix.strip("/")

    def __repr__(self) -> str:
        """Show where the store is, without keys."""
        return f"{type(self).__name__}({self.name!r}, prefix={self.prefix!r})"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""

    @abstractmethod
    def open(self, key: str) -> AbstractContextManager[VerifiedReader]:
        """Open an object; see `ObjectStore.open`."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.head`."""

    def get(self, key: str, path: Path) -> ObjectInfo:
        """Fetch an object into a file; see `ObjectStore.get`."""
        with self.open(key) as reader, self._local_file(key, path):
            write_verified(reader, path)
        return reader.info

    def _require_absent(self, key: str) -> None:
        """Raise `ObjectExistsError` before a file is sent; the keys may not allow to look."""
        try:
            self.head(key)
        except (MissingObjectError, StoreDeniedError):
            return
        raise ObjectExistsError(self.name, key)

    def _whole_key(self, key: str) -> str:
        return require_key(self.name, self.prefix, key)

    def _whole_prefix(self, prefix: str) -> str:
        """Return the start of listed keys; other apps' keys may begin with our prefix's text."""
        if prefix:
            return object_key(self.prefix, self._whole_key(prefix))
        return f"{self.prefix}/" if self.prefix else ""

    @contextmanager
    def _source(self, path: Path, key: str, sha256: str | None) -> Iterator[VerifiedReader]:
        """Open the file that is to be put; what is read is checked against its SHA-256."""
        with ExitStack() as stack:
            with self._local_file(key, path):
                file = stack.enter_context(path.open("rb"))
                found = os.fstat(file.fileno())
                digest = sha256 or sha256_of(file)

            def read(wanted: int) -> bytes:
                with self._local_file(key, path):
                    return file.read(wanted)

            modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
            info = ObjectInfo(key, found.st_size, "", modified_at, digest)
            yield VerifiedReader(read, info, self.name)

    @contextmanager
    def _local_file(self, key: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreFaultError(self.name, key, f"{error.strerror} at {path}") from error
