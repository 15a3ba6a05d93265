"""Record of when an archive of the folder was last read to its end and found good.

It is an attribute of the archive's file: it goes where the file goes, with it, and not with a copy.
Once the file is written to, it is void. A file system without attributes keeps no record.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import open_regular
from streamhub_orm.errors import IrregularFileError
from streamhub_orm.owner import as_operator
from streamhub_orm.readable import in_time
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.stored import StoredArchive
    from streamhub_orm.storage import ObjectStore

_ATTRIBUTE: Final = "user.streamhub.verified"
_HAS_ATTRIBUTES: Final = hasattr(os, "setxattr")
"""Linux has them."""


def record_verified(archive: Path) -> None:
    """Record that every file of an archive was found good just now, as far as it can be."""
    with suppress(OSError, IrregularFileError), as_operator(archive):
        descriptor = open_regular(archive)
        try:
            if _HAS_ATTRIBUTES:
                record = f"{utc_now().isoformat()} {_state_of(descriptor)}"
                os.setxattr(descriptor, _ATTRIBUTE, record.encode())
        finally:
            os.close(descriptor)


def verified_at(store: ObjectStore, archive: StoredArchive) -> datetime | None:
    """Return when an archive was last verified; None where nobody knows.

    One in a bucket was when it was stored, by its SHA-256. Raises a `StorageError` where the bucket
    does not answer.
    """
    if isinstance(store, LocalStore):
        return _recorded(store.folder / archive.key)
    return archive.modified_at if store.head(archive.key).sha256 is not None else None


def verification_in_words(verified: datetime | None) -> str:
    """Return `verified 2 h ago`, or that nobody knows of any."""
    return f"verified {in_time(utc_now() - verified)} ago" if verified else "not verified yet"


def _recorded(archive: Path) -> datetime | None:
    with suppress(OSError, IrregularFileError, ValueError), as_operator(archive):
        descriptor = open_regular(archive)
        try:
            if _HAS_ATTRIBUTES:
                record = os.getxattr(descriptor, _ATTRIBUTE).decode("ascii")
                moment, _, state = record.partition(" ")
                return datetime.fromisoformat(moment) if state == _state_of(descriptor) else None
        finally:
            os.close(descriptor)
    return None


def _state_of(descriptor: int) -> str:
    """Return what changes when the file is written to."""
    found = os.fstat(descriptor)
    return f"{found.st_size} {found.st_mtime_ns}"
