"""The form of an archive: a .tar.gz whose every file is a gzip member of its own.

gzip files may follow each other and still are one (RFC 1952, 2.2), so `tar -xzf` reads the whole as
it reads any other. What is won: files are compressed side by side, a later archive takes over what
did not change as it is, and the manifest, the last file, is found from the end: an empty gzip
member closes the archive, whose extra field holds the manifest's offset.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import struct
import tarfile
import time
import zlib
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from streamhub_orm.archives.names import MANIFEST_NAME
from streamhub_orm.archives.unchanged import Inodes
from streamhub_orm.durable_files import open_regular
from streamhub_orm.errors import DamagedArchiveError, UnusableArchiveError
from streamhub_orm.owner import User, as_operator, give_back

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
_CHUNK_BYTES: Final = 1 << 20
_LEVEL: Final = 4
"""Half the time of the default 6, for archives 4% larger (45 MB of VOD rows and indices)."""
_END_OF_TAR: Final = bytes(2 * tarfile.BLOCKSIZE)
_FOOTER: Final = struct.Struct("<4sIBBH2sHQ2sII")
_FOOTER_HEAD: Final = (b"\x1f\x8b\x08\x04", 0, 0, 255, 12, b"SH", 8)
_FOOTER_TAIL: Final = (b"\x03\x00", 0, 0)
_MOST_MANIFEST_BYTES: Final = 1 << 29
"""Some 400,000 apps; what is larger would only fill the memory."""


@dataclass(frozen=True)
class Owner:
    """User and group of the files in an archive, by number."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Entry:
    """One file of the archive, as the manifest describes it."""

    name: str
    """Path in the archive."""
    bytes: int
    sha256: str
    """Of the file itself, in hex."""
    revision: str | None = None
    """Of a database that is adopted."""
    rows: dict[str, int] | None = None
    """Rows by table, of a database."""
    offset: int = 0
    """Begin of its fragment in the archive: a gzip member of its own."""
    packed_bytes: int = 0
    packed_sha256: str = ""
    """Of the fragment, so that a later archive can take it over without unpacking it."""
    source: Inodes | None = None
    """The file in the installation before it was read; None where that proves nothing."""


@dataclass(frozen=True)
class Manifest:
    """The last file of an archive: what it holds, and what it lacks."""

    created_at: str
    """UTC, ISO 8601."""
    release: str
    files: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Path in the archive and reason, for each file that could not be archived."""
    format: int = FORMAT

    @property
    def entries(self) -> dict[str, Entry]:
        """The files by name."""
        return {entry.name: entry for entry in self.files}

    def to_bytes(self) -> bytes:
        """Return the file manifest.json."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Read manifest.json; raises `ValueError` for anything else."""
        try:
            document: dict[str, Any] = json.loads(text)
            if document["format"] != FORMAT:
                message = f"found another format than {FORMAT}"
                raise ValueError(message)
            files = [_entry(each) for each in document.pop("files")]
            manifest = cls(files=files, **document)
            _require_texts(manifest.created_at, manifest.release)
            _require_texts(*manifest.failures.keys(), *manifest.failures.values())
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            message = f"{type(error).__name__} {error}"
            raise ValueError(message) from error
        return manifest


def _entry(document: dict[str, Any]) -> Entry:
    source = document.pop("source")
    entry = Entry(**document, source=None if source is None else Inodes(**source))
    _require_texts(entry.name, entry.sha256, entry.revision or "", entry.packed_sha256)
    _require_numbers(entry.bytes, entry.offset, entry.packed_bytes)
    if entry.rows is not None:
        _require_numbers(*entry.rows.values())
    if entry.source is not None:
        _require_numbers(*entry.source.file, *(entry.source.wal or []))
    return entry


def _require_texts(*values: object) -> None:
    for value in values:
        if not isinstance(value, str):
            message = f"found {type(value).__name__}, expected a text"
            raise TypeError(message)


def _require_numbers(*values: object) -> None:
    """Refuse what no size, number or time of a file can be."""
    for value in values:
        if not isinstance(value, int) or not 0 <= value < 1 << 63:
            message = f"found {type(value).__name__}, expected a number from 0 to 2^63"
            raise TypeError(message)


def pack_fragment(
    source: IO[bytes], name: str, size: int, owner: Owner, target: IO[bytes]
) -> Entry:
    """Write `size` bytes of `source` as one fragment of an archive, at its place in `target`.

    Returns the sizes and digests of the content and of the fragment.
    """
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    content, fragment = hashlib.sha256(), hashlib.sha256()
    written = 0

    def write(data: bytes) -> None:
        nonlocal written
        fragment.update(data)
        written += target.write(data)

    write(compressor.compress(_header(name, size, owner)))
    left = size
    while left:
        chunk = source.read(min(_CHUNK_BYTES, left))
        if not chunk:
            message = f"{name} ended {left} bytes early"
            raise OSError(message)
        content.update(chunk)
        write(compressor.compress(chunk))
        left -= len(chunk)
    write(compressor.compress(bytes(-size % tarfile.BLOCKSIZE)) + compressor.flush())
    return Entry(
        name,
        size,
        content.hexdigest(),
        packed_bytes=written,
        packed_sha256=fragment.hexdigest(),
    )


def _header(name: str, size: int, owner: Owner) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.uid, info.gid = size, 0o600, owner.uid, owner.gid
    info.mtime = int(time.time())
    return info.tobuf(tarfile.GNU_FORMAT)


def open_archive(path: Path) -> IO[bytes]:
    """Open an archive, as the operator where its folder is his; no link is followed.

    Raises `FileNotFoundError`, `IrregularFileError`, or `UnusableArchiveError` for one that this
    user may not read. The caller closes it.
    """
    try:
        with as_operator(path):
            return os.fdopen(open_regular(path), "rb")
    except PermissionError as error:
        todo = give_back(path) or "Run as its owner, or with sudo."
        found = f"a file that {User.present()} may not read"
        raise UnusableArchiveError(path, found, "a readable backup", todo) from error


def copy_fragment(source: IO[bytes], entry: Entry, target: IO[bytes]) -> bool:
    """Append the fragment of an older archive; False where it is not as its manifest says."""
    digest, left = hashlib.sha256(), entry.packed_bytes
    begin = target.tell()
    source.seek(entry.offset)
    while left and (chunk := source.read(min(_CHUNK_BYTES, left))):
        digest.update(chunk)
        target.write(chunk)
        left -= len(chunk)
    if left or digest.hexdigest() != entry.packed_sha256:
        target.seek(begin)
        target.truncate()
        return False
    return True


def finish(target: IO[bytes], manifest: Manifest, owner: Owner) -> None:
    """End an archive: the manifest, the end of the tar file, and the manifest's offset."""
    offset, text = target.tell(), manifest.to_bytes()
    pack_fragment(io.BytesIO(text), MANIFEST_NAME, len(text), owner, target)
    target.write(gzip.compress(_END_OF_TAR, mtime=0))
    target.write(_FOOTER.pack(*_FOOTER_HEAD, offset, *_FOOTER_TAIL))


def load_manifest(archive: Path) -> Manifest | None:
    """Read the manifest of an archive from its end.

    None for an archive without one, as shell scripts made them, and for one that is cut off. Raises
    `DamagedArchiveError` where the manifest itself cannot be read.
    """
    with open_archive(archive) as file:
        if file.seek(0, io.SEEK_END) < _FOOTER.size:
            return None
        file.seek(-_FOOTER.size, io.SEEK_END)
        *head, offset, empty, crc, size = _FOOTER.unpack(file.read())
        if tuple(head) != _FOOTER_HEAD or (empty, crc, size) != _FOOTER_TAIL:
            return None
        try:
            file.seek(offset)
            with gzip.GzipFile(fileobj=file) as plain:
                header = tarfile.TarInfo.frombuf(plain.read(tarfile.BLOCKSIZE), "utf-8", "strict")
                if not 0 <= header.size <= _MOST_MANIFEST_BYTES:
                    raise DamagedArchiveError(archive, [f"manifest: {header.size} bytes"])
                return Manifest.from_bytes(plain.read(header.size))
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
            raise DamagedArchiveError(archive, [f"manifest: {error}"]) from error
