"""Reads and writes that check length and SHA-256 as the bytes pass."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import file_mode, replace, temporary_beside
from streamhub_orm.errors import ChecksumMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from streamhub_orm.storage.contract import ObjectInfo

CHUNK_BYTES: Final = 1024 * 1024


class VerifiedReader:
    """Reader of an object, once; it checks length and SHA-256 before it gives the last bytes."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        info: ObjectInfo,
        store: str,
    ) -> None:
        """Read by `read` what `info` describes; without a SHA-256 there only the length counts."""
        self.info = info
        self._read = read
        self._left = info.size_bytes
        self._store = store
        self._hash = hashlib.sha256()
        if not self._left:
            self._check_end()

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, fewer than `size` only at the end; by default all that is left."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        parts = []
        while wanted:
            part = self._read(min(wanted, CHUNK_BYTES))
            if not part:
                self._fail(f"the end after {self.info.size_bytes - self._left} bytes")
            self._hash.update(part)
            self._left -= len(part)
            wanted -= len(part)
            parts.append(part)
        if parts and not self._left:
            self._check_end()
        return b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over chunks of 1 MiB."""
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def _check_end(self) -> None:
        if self._read(1):
            self._fail(f"more than {self.info.size_bytes} bytes")
        if self.info.sha256 not in {None, self._hash.hexdigest()}:
            self._fail(f"SHA-256 {self._hash.hexdigest()}")

    def _fail(self, found: str) -> None:
        expected = f"{self.info.size_bytes} bytes"
        if self.info.sha256 is not None:
            expected += f" with SHA-256 {self.info.sha256}"
        todo = "Try again; if it stays so, do not use this copy but put it anew from a good one."
        raise ChecksumMismatchError(self._store, self.info.key, found, expected, todo)


def sha256_of(file: BufferedReader) -> str:
    """Return the hex SHA-256 of a file, and leave its position at the beginning."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def write_verified(reader: VerifiedReader, path: Path) -> None:
    """Write all that the reader gives into a file, durably; raises before an old one is touched."""
    mode = file_mode(path) if path.exists() else 0o600
    with temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            for chunk in reader:
                file.write(chunk)
        replace(temporary, path, mode=mode)
