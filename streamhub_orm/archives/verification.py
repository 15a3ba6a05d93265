"""Record of when an archive of the folder was last read to its end and found good.

It is a label of the archive's file: once the file is written to, it is void. A file system without
extended attributes keeps no record.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import label_of, set_label
from streamhub_orm.owner import as_operator
from streamhub_orm.readable import in_time
from streamhub_orm.schema import utc_now
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.stored import StoredArchive
    from streamhub_orm.storage import ObjectStore

_LABEL: Final = "verified"


def record_verified(archive: Path) -> None:
    """Record that every file of an archive was found good just now, as far as it can be."""
    with suppress(OSError), as_operator(archive):
        set_label(archive, _LABEL, f"{utc_now().isoformat()} {_state_of(archive)}")


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
    with suppress(OSError, ValueError), as_operator(archive):
        moment, _, state = (label_of(archive, _LABEL) or "").partition(" ")
        return datetime.fromisoformat(moment) if state == _state_of(archive) else None
    return None


def _state_of(archive: Path) -> str:
    """Return what changes when the file is written to."""
    found = archive.lstat()
    return f"{found.st_size} {found.st_mtime_ns}"
