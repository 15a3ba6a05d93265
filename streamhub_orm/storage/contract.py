"""Contract of the object stores. tests/storage/ holds each implementation to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from streamhub_orm.errors import StorageError
    from streamhub_orm.storage.verified import VerifiedReader


@dataclass(frozen=True)
class ObjectInfo:
    """Facts that a store gives about one object."""

    key: str
    """The whole key, prefix included; every method takes it as it takes the short one."""
    size_bytes: int
    etag: str
    """The store's own mark of the content; equal marks mean equal content, no more."""
    modified_at: datetime
    """Time at which the object was put, in UTC."""
    sha256: str | None = None
    """Hex SHA-256 that was recorded at `put`; None in listings, and for what others wrote."""


class ObjectStore(Protocol):
    """A place for objects under keys. Methods raise a `StorageError` and leave nothing half-done.

    Keys get the store's prefix by `object_key`. What is not a key raises `ObjectKeyError`. A store
    may be shared between threads.
    """

    name: str
    """Endpoint and bucket, or the folder: what errors call the store."""
    prefix: str
    """Beginning of all keys; no slash at either end."""

    def put(
        self, path: Path, key: str, *, sha256: str | None = None, no_clobber: bool = False
    ) -> ObjectInfo:
        """Store a file. The object appears whole, or not at all; only then does this return.

        Its SHA-256 is recorded, and checked against the bytes that were really sent: `sha256`
        (hex) where the caller knows it, else that of a first reading. With `no_clobber` an object
        that is there already stays, whoever wrote it in between: `ObjectExistsError`. (Large ones
        go in parts; where a server does not complete those in one step, as SeaweedFS does not, the
        later of two at the same instant may win, with both told that they did.) A file that
        changes meanwhile: `ChecksumMismatchError`. Memory does not grow with the file.
        """

    def get(self, key: str, path: Path) -> ObjectInfo:
        """Fetch an object into a file, durably; an older file stays until the new one is whole.

        A new file has mode 0600. Raises `MissingObjectError`, and `ChecksumMismatchError` where
        the bytes are not those that were put.
        """

    def open(self, key: str) -> AbstractContextManager[VerifiedReader]:
        """Open an object for reading from its beginning to its end, without a file.

        At the end of the bytes the reader checks them and raises `ChecksumMismatchError`; who
        stops earlier has read what nobody checked.
        """

    def head(self, key: str) -> ObjectInfo:
        """Describe one object; raises `MissingObjectError`."""

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe the objects whose keys begin with `prefix`, in an order of the store's own.

        The store's prefix comes before it by the rule for keys. AWS sorts by the bytes of keys;
        SeaweedFS sorts folder by folder.
        """

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there counts as deleted."""

    def delete_many(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Delete objects and return those that may still be there, each with the reason.

        Keys are returned as they were given. It raises nothing but what the caller's own iterable
        does: after a fault that would meet every key, such as no answer, the rest is not tried.
        """

    def presigned_url(self, key: str, *, seconds: int = 3600) -> str:
        """Return a URL that gives the object to whoever holds it, for so long; it is a secret.

        Nothing is asked of the store, so the object may not be there.
        """

    def public_url(self, key: str) -> str:
        """Return the URL of the object where everybody may read it. Nothing is asked either."""

    def close(self) -> None:
        """Give connections back; the store cannot be used afterwards."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Close it."""
