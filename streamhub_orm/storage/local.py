"""Object store in a folder of this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from streamhub_orm.durable_files import (
    finish,
    make_folder,
    publish,
    remove_leftovers,
    replace,
    sync,
    temporary_beside,
    write_whole,
)
from streamhub_orm.errors import (
    MissingBucketError,
    MissingObjectError,
    ObjectExistsError,
    ObjectKeyError,
    StorageError,
    StoreFaultError,
)
from streamhub_orm.storage.base import BaseStore
from streamhub_orm.storage.contract import ObjectInfo
from streamhub_orm.storage.keys import require_seconds
from streamhub_orm.storage.verified import CHUNK_BYTES, VerifiedReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHECKSUMS: Final = ".checksums"
"""The folder in the store's that holds the SHA-256 of each object, under the object's own name."""
_TEMPORARY: Final = ".streamhub-tmp"
_MAX_NAME_BYTES: Final = 200
"""File systems take 255; a temporary name is longer than the name that it stands for."""

_SECOND_NS: Final = 10**9

_ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore(BaseStore):
    """Objects are files below a folder, and their keys the paths there. Implements ObjectStore."""

    def __init__(self, folder: Path, *, prefix: str = "", public_url: str | None = None) -> None:
        """Name the folder, which must exist; nothing is opened yet."""
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        super().__init__(str(self.folder), prefix)
        self._public_url = public_url

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def put(
        self, path: Path, key: str, *, sha256: str | None = None, no_clobber: bool = False
    ) -> ObjectInfo:
        """Store a file; see `ObjectStore.put`."""
        key, target = self._locate(key)
        if no_clobber:
            self._require_absent(key)
        with self._source(path, key, sha256) as reader, self._faults(key), ExitStack() as stack:
            self._require_folder()
            with self._alone():
                _remove_empty_folders(target)
                make_folder(target.parent)
                remove_leftovers(target.parent)
                temporary = stack.enter_context(temporary_beside(target))
            with temporary.open("wb") as file:
                shutil.copyfileobj(reader, file, CHUNK_BYTES)
            finish(temporary, 0o600)
            with self._alone():
                _make_newer(temporary, target)
                self._appear(temporary, target, key, no_clobber=no_clobber)
                info = _info(key, target.stat(), reader.info.sha256)
                self._record(info)
        return info

    @contextmanager
    def open(self, key: str) -> Iterator[VerifiedReader]:
        """Open an object; see `ObjectStore.open`."""
        key, path = self._locate(key)
        with self._reading(key):
            file = path.open("rb")

        def read(size: int) -> bytes:
            with self._reading(key):
                return file.read(size)

        with file:
            yield VerifiedReader(read, self._described(key, os.fstat(file.fileno())), self.name)

    def head(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.head`."""
        key, path = self._locate(key)
        with self._reading(key):
            if path.is_dir():
                raise MissingObjectError(self.name, key)
            return self._described(key, path.stat())

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe objects; see `ObjectStore.iter_objects`."""
        with self._reading(""):
            self._require_folder()
            keys = sorted(self._keys_below(self._whole_prefix(prefix)))
        for key in keys:
            with suppress(FileNotFoundError):  # deleted meanwhile
                yield _info(key, (self.folder / key).stat(), None)

    def delete(self, key: str) -> None:
        """Delete an object; see `ObjectStore.delete`."""
        key, path = self._locate(key)
        with self._reading(key):
            self._require_folder()
            checksum = self.folder / _CHECKSUMS / key
            with self._alone(), suppress(*_ABSENT):
                path.unlink()
                sync(path.parent)
                self._remove_emptied(path.parent)
                checksum.unlink()
                self._remove_emptied(checksum.parent)

    def delete_many(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Delete objects; see `ObjectStore.delete_many`."""
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                self.delete(key)
            except StorageError as error:
                failed[key] = error
        return failed

    def presigned_url(self, key: str, *, seconds: int = 3600) -> str:
        """Return a file: URL, which the rights of the file alone guard and which never expires."""
        require_seconds(seconds)
        return self._locate(key)[1].as_uri()

    def public_url(self, key: str) -> str:
        """Return the URL below `public_url`, else the file: URL."""
        key, path = self._locate(key)
        if self._public_url is None:
            return path.as_uri()
        return f"{self._public_url.rstrip('/')}/{quote(key, safe='/~')}"

    def _locate(self, key: str) -> tuple[str, Path]:
        """Return the whole key and its path, which lies below the folder whatever links there."""
        whole = self._whole_key(key)
        segments = whole.split("/")
        if "" in segments:
            raise ObjectKeyError(self.name, key, "an empty segment, which no file can have")
        if segments[0] == _CHECKSUMS or any(_TEMPORARY in it for it in segments):
            raise ObjectKeyError(self.name, key, "a name that the store keeps for itself")
        if any(len(segment.encode()) > _MAX_NAME_BYTES for segment in segments):
            raise ObjectKeyError(self.name, key, f"a segment of more than {_MAX_NAME_BYTES} bytes")
        path = self.folder / whole
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ObjectKeyError(self.name, key, "a link out of the folder")
        return whole, path

    def _keys_below(self, prefix: str) -> Iterator[str]:
        # A prefix may end within a name: what can match lies below its last whole segment.
        start = self.folder / prefix.rpartition("/")[0]
        if not start.resolve().is_relative_to(self.folder.resolve()):
            return  # by a link
        for parent, folders, names in os.walk(start):
            if Path(parent) == self.folder and _CHECKSUMS in folders:
                folders.remove(_CHECKSUMS)
            for name in names:
                path = Path(parent) / name
                key = path.relative_to(self.folder).as_posix()
                is_none = _TEMPORARY in name or path.is_symlink() or not path.is_file()
                if key.startswith(prefix) and not is_none:
                    yield key

    def _appear(self, temporary: Path, target: Path, key: str, *, no_clobber: bool) -> None:
        if not no_clobber:
            replace(temporary, target, mode=0o600)
            return
        try:
            publish(temporary, target, mode=0o600)
        except FileExistsError as error:
            raise ObjectExistsError(self.name, key) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one writer at a time change names: an object and its checksum change together."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _remove_emptied(self, folder: Path) -> None:
        """Remove a folder that is empty now, and those around it: a later key may be its name."""
        kept = {self.folder, self.folder / _CHECKSUMS}
        for each in takewhile(lambda it: it not in kept, (folder, *folder.parents)):
            try:
                each.rmdir()
            except OSError:  # there are other objects
                return

    def _record(self, info: ObjectInfo) -> None:
        """Keep the checksum, with the mark of the very file that it belongs to.

        It is written after the object: a kill in between leaves an object without a checksum,
        never one that seems damaged.
        """
        path = self.folder / _CHECKSUMS / info.key
        make_folder(path.parent)
        remove_leftovers(path.parent)
        write_whole(path, f"{info.sha256} {info.etag}\n".encode(), mode=0o600)

    def _described(self, key: str, found: os.stat_result) -> ObjectInfo:
        try:
            text = (self.folder / _CHECKSUMS / key).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            text = ""
        digest, _, etag = text.strip().partition(" ")
        return _info(key, found, digest if etag == _etag(found) else None)

    def _require_folder(self) -> None:
        if not self.folder.is_dir():
            raise MissingBucketError(self.name)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            with self._faults(key):
                yield
        except StoreFaultError as error:
            if not isinstance(error.__cause__, _ABSENT):
                raise
            self._require_folder()
            raise MissingObjectError(self.name, key) from error.__cause__

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreFaultError(self.name, key, error.strerror or str(error)) from error


def _remove_empty_folders(path: Path) -> None:
    """Remove a folder in the place of an object, if it holds none; earlier releases left such."""
    if path.is_dir() and not path.is_symlink():
        for parent, _, _ in os.walk(path, topdown=False):
            with suppress(OSError):
                os.rmdir(parent)  # noqa: PTH106 - os.walk gives texts


def _make_newer(temporary: Path, target: Path) -> None:
    """Give a new object another time than the one that it replaces.

    Within one tick of the file system's clock, two of one size would have the same mark, and the
    checksum of the one would count as the other's.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        before, now = target.stat().st_mtime_ns, temporary.stat().st_mtime_ns
        if 0 <= before - now < _SECOND_NS:
            os.utime(temporary, ns=(before + 1, before + 1))


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def _info(key: str, found: os.stat_result, sha256: str | None) -> ObjectInfo:
    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectInfo(key, found.st_size, _etag(found), modified_at, sha256)
