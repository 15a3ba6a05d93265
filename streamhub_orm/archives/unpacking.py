"""Reading an archive that may come from anywhere: only an installation's files get out of it.

The tar file is read header by header, here and not by the tarfile module's own loop: that one holds
extended headers of any size in memory, and takes an archive that is cut off between two files for a
whole one.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from streamhub_orm.archives.format import open_archive
from streamhub_orm.archives.names import MANIFEST_NAME, Part, PartKind, part_named
from streamhub_orm.errors import (
    DamagedArchiveError,
    HostileArchiveError,
    IrregularFileError,
    SpaceError,
    UnusableArchiveError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_SMALL_BYTES: Final = 1 << 20
"""The most that secrets.json or a config.yaml may have."""
_ATTRIBUTES: Final = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
"""Headers that only describe the next one, in more words than our short names need."""
_MOST_MEMBERS: Final = 5_000_000


@dataclass(frozen=True)
class Unpacked:
    """A file that was taken out of an archive."""

    part: Part
    path: Path
    bytes: int
    sha256: str


@dataclass
class Unpacking:
    """One pass through an archive."""

    archive: Path
    ignored: list[str] = field(default_factory=list)
    """Harmless files that no installation has; they are left in the archive."""
    has_manifest: bool = False
    """True where the archive was made by this package."""

    def files(
        self, folder: Path, wanted: Callable[[Part], bool] = lambda _: True
    ) -> Iterator[Unpacked]:
        """Write each wanted file into `folder`, mode 0600, and yield it.

        Raises `HostileArchiveError` for a path that leads out, a link, a device, a name that comes
        twice and a file of a size that it cannot have; `DamagedArchiveError` for an archive that is
        cut off; `SpaceError` before a file is written that does not fit.
        """
        seen = set[str]()
        with _opened(self.archive) as plain:
            for header, content in self._members(plain):
                name = str(PurePosixPath(header.name))
                self._require_harmless(header, name)
                if name in seen:
                    raise HostileArchiveError(self.archive, f"{name} twice")
                seen.add(name)
                part = part_named(name)
                if part is not None and wanted(part):
                    yield self._write(part, header.size, content, folder)
                elif part is None and header.isreg():
                    self._pass_over(name, header.size)

    def _members(self, plain: gzip.GzipFile) -> Iterator[tuple[tarfile.TarInfo, _Content]]:
        """Yield the headers with their content, up to the blocks that end a tar file."""
        for _ in range(_MOST_MEMBERS):
            block = plain.read(tarfile.BLOCKSIZE)
            if block == bytes(tarfile.BLOCKSIZE):
                return
            if len(block) < tarfile.BLOCKSIZE:
                raise EOFError
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if header.size < 0:
                raise HostileArchiveError(self.archive, f"{header.name!r} of {header.size} bytes")
            content = _Content(plain, header.size)
            if header.type not in _ATTRIBUTES:
                yield header, content
            content.skip()
        raise HostileArchiveError(self.archive, f"more than {_MOST_MEMBERS} files")

    def _require_harmless(self, header: tarfile.TarInfo, name: str) -> None:
        if header.name.startswith("/") or ".." in PurePosixPath(header.name).parts:
            raise HostileArchiveError(self.archive, f"a path that leads out of it: {header.name!r}")
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise HostileArchiveError(self.archive, f"a link, device or sparse file: {name!r}")
        part = part_named(name)
        is_small = part and part.kind in {PartKind.SECRETS, PartKind.CONFIG}
        if is_small and header.size > _SMALL_BYTES:
            raise HostileArchiveError(self.archive, f"{name} of {header.size} bytes")

    def _pass_over(self, name: str, size: int) -> None:
        """Leave a file that no installation has; but a -wal may hold rows, so it is refused."""
        if name == MANIFEST_NAME:
            self.has_manifest = True
            return
        database = name.removesuffix("-wal").removesuffix("-journal")
        if size and database != name and part_named(database):
            raise DamagedArchiveError(
                self.archive, [f"{name}, so {database} was copied while it was in use"]
            )
        self.ignored.append(name)

    def _write(self, part: Part, size: int, content: _Content, folder: Path) -> Unpacked:
        target = folder / part.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if size > free:
            raise SpaceError(
                target, f"{free} bytes free", f"{size} bytes for {part.name}",
                "Free space on this file system, then run again; nothing was touched.",
            )  # fmt: skip
        digest = hashlib.sha256()
        with target.open("xb") as file:
            target.chmod(0o600)
            for chunk in content:
                digest.update(chunk)
                file.write(chunk)
        return Unpacked(part, target, size, digest.hexdigest())


class _Content:
    """The content of one file in the tar file, in chunks."""

    def __init__(self, plain: gzip.GzipFile, size: int) -> None:
        self._plain = plain
        self._left = size
        self._padding = -size % tarfile.BLOCKSIZE

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._plain.read(min(_CHUNK_BYTES, self._left))
            if not chunk:
                raise EOFError
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Read what is left, and what fills the last block."""
        for _ in self:
            pass
        self._plain.read(self._padding)


@contextmanager
def _opened(archive: Path) -> Iterator[gzip.GzipFile]:
    todo = "`streamhub-db backup list` shows what there is."
    try:
        file = open_archive(archive)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnusableArchiveError(archive, "no such file", "a backup", todo) from error
    except IrregularFileError as error:
        raise UnusableArchiveError(archive, error.kind, "a backup", todo) from error
    try:
        with file, gzip.open(file, "rb") as plain:
            yield plain
    except EOFError as error:
        raise DamagedArchiveError(archive, ["it is cut off"]) from error
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile) as error:
        what = f"it is damaged: {error}" if _begins_as_gzip(archive) else "it is no gzip file"
        raise DamagedArchiveError(archive, [what]) from error


def _begins_as_gzip(archive: Path) -> bool:
    with open_archive(archive) as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def only_app(name: str | None) -> Callable[[Part], bool]:
    """Return a filter for the files of one app; for None, one that lets all through."""
    return lambda part: name is None or (part.app == name and part.kind is not PartKind.GLOBAL)
