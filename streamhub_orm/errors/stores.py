"""Errors about archives of an installation, and about the object stores that keep files.

Each names the archive, or the store and the key; none shows a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ArchiveError(StreamHubError):
    """Base of errors about one archive."""

    archive: Path | str
    subject = "{archive}"


class UnusableArchiveError(ArchiveError):
    """Raised when an archive cannot be read, or does not hold what it must."""

    found: str
    expected: str
    todo: str


class HostileArchiveError(ArchiveError):
    """Raised when an archive holds a path that leads out, a link, a device or a bomb."""

    found: str
    expected = "only the regular files of an installation, below data/"
    todo = "It was made or changed by something else: do not use it. Nothing was touched."


class DamagedArchiveError(ArchiveError):
    """Raised when an archive is cut off, or a file in it differs from its manifest."""

    faults: Sequence[str]
    found = "{faults:; }"
    expected = "every file as it was written and every database intact"
    todo = "Use another backup: `streamhub-db backup list`. Nothing was touched."


class IdentityFileError(StreamHubError):
    """Raised when the file that is to hold the identity of an archive's recipient holds none."""

    path: Path
    found: str
    subject = "{path}"
    expected = "an identity as age-keygen writes it, or a private SSH key without a passphrase"
    todo = "Name the file of the identity, by --identity or BACKUP_AGE_IDENTITY."


class NoSuchBackupError(StreamHubError):
    """Raised when a place holds no backup of that name, or none that is complete."""

    wanted: str
    place: str
    known: Sequence[str]
    subject = "{place}"
    found = "{known}"
    expected = "a {wanted}"
    todo = "Name one of those that `streamhub-db backup list` shows."


class StorageError(StreamHubError):
    """Base of errors of an object store; nothing was left half-done.

    `store` is endpoint and bucket, or folder; `key` is empty for the store as a whole.
    `meets_every_key` is True where any other key would fare the same, so that none need be tried.
    """

    meets_every_key: ClassVar[bool] = False

    store: str
    key: str
    subject = "{place}"

    @property
    def place(self) -> str:
        """The store and the key."""
        return f"{self.store}/{self.key}" if self.key else self.store


class StoreUnreachableError(StorageError):
    """Raised when no answer comes or the connection breaks, also after the retries."""

    meets_every_key: ClassVar[bool] = True

    found: str
    expected = "an answer of the store"
    todo = "Check the endpoint, the network and whether the store runs, then try again."
    public_message = "The store of the files cannot be reached. Try again later."


class StoreDeniedError(StorageError):
    """Raised when the store does not know the keys, or they do not allow this."""

    meets_every_key: ClassVar[bool] = True

    code: str
    found = "a refusal ({code})"
    expected = "keys that the store accepts for this"
    todo = "Check the access key, the secret key, the region and what the keys may do."


class ClockSkewError(StorageError):
    """Raised when the store refuses requests since its clock and this machine's differ too much."""

    meets_every_key: ClassVar[bool] = True

    found = "clock skew: this machine's clock and the store's differ by more than 15 minutes"
    expected = "clocks that agree, since each request is signed with its time"
    todo = "Set this machine's clock (`timedatectl` shows it) or the store's, then run again."
    public_message = "The store of the files cannot be used now. Try again later."


class MissingBucketError(StorageError):
    """Raised when the bucket, or the folder of a local store, does not exist."""

    meets_every_key: ClassVar[bool] = True

    key: str = ""
    found = "no such bucket or folder"
    expected = "one that exists"
    todo = "Create it, or correct its name."


class MissingObjectError(StorageError):
    """Raised when the store has no object of this key."""

    found = "no such object"
    expected = "one that exists"
    todo = "Check the key."
    public_message = "There is no such file."


class ObjectExistsError(StorageError):
    """Raised when an object of this key exists, and the caller asked not to replace one."""

    found = "an object that is there already"
    expected = "none"
    todo = "Name another key, or delete the object first."


class ChecksumMismatchError(StorageError):
    """Raised when bytes do not have the SHA-256 that is known: cut off, damaged or changed."""

    found: str
    expected: str
    todo: str


class ObjectKeyError(StorageError):
    """Raised when no store takes the key, as it may lead out of a local store's folder."""

    reason: str
    subject = "{store}"
    found = "the key {key!r} ({reason})"
    expected = "1 to 1024 bytes of UTF-8 in segments other than '.' and '..'"
    todo = "Correct the key."


class StoreFaultError(StorageError):
    """Raised when the store, or a local file that it reads or writes, has another fault."""

    found: str
    expected = "the request to be carried out"
    todo = "See to the fault, then try again."
