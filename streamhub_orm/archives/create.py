"""Creation of an archive: every database of an installation, verified, in one file."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, Final, Self

from streamhub_orm import __version__
from streamhub_orm.archives.control_plane import copied_control_plane
from streamhub_orm.archives.encryption import encrypt, parse_recipients
from streamhub_orm.archives.format import (
    Manifest,
    Owner,
    copy_fragment,
    finish,
    load_manifest,
    open_archive,
)
from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.archives.packing import Packer, dump_beside, find_parts
from streamhub_orm.archives.stored import store_archive
from streamhub_orm.data_dir import GLOBAL_DB_NAME, DataDir
from streamhub_orm.durable_files import (
    make_folder,
    make_scratch,
    no_empty_folder_left,
    publish,
    remove_folder,
)
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import DamagedArchiveError, StorageError, UnusableArchiveError
from streamhub_orm.migrations.global_database import refuse_promoted
from streamhub_orm.owner import as_operator
from streamhub_orm.storage import open_s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from streamhub_orm.archives.encryption import Recipients
    from streamhub_orm.archives.format import Entry
    from streamhub_orm.archives.packing import Packed
    from streamhub_orm.settings import S3Settings

    Progress = Callable[[str, int, int], None]

_PHASE: Final = "backing up"


@dataclass
class Created:
    """Outcome of the making of an archive."""

    archive: Path
    size_bytes: int
    manifest: Manifest
    reused: int
    """Files taken over from the archive before, unread."""
    left_out: list[str]
    """Paths in the archive that databases without a table would have."""
    stored: str | None = None
    """The address of the copy in the bucket."""
    error: str | None = None
    """Why the bucket has no copy, where one was wanted."""

    @property
    def complete(self) -> bool:
        """True where every database is in it."""
        return not self.manifest.failures

    @property
    def ok(self) -> bool:
        """True where all went well: it is complete, and in the bucket where that was wanted."""
        return self.complete and self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup create --json` prints."""
        return {
            "ok": self.ok,
            "error": self.error,
            "archive": str(self.archive),
            "complete": self.complete,
            "bytes": self.size_bytes,
            "files": len(self.manifest.files),
            "reused": self.reused,
            "failures": self.manifest.failures,
            "left_out": self.left_out,
            "stored": self.stored,
        }


def create_archive(  # noqa: PLR0913 - one keyword for each option of the command
    data_dir: Path,
    folder: Path,
    *,
    bucket: S3Settings | None = None,
    no_clobber: bool = True,
    recipients: Sequence[str] = (),
    jobs: int | None = None,
    incremental: bool = True,
    pg_dump: bool = False,
    lock_timeout_seconds: float = 0.0,
    progress: Progress = lambda *_: None,
) -> Created:
    """Archive an installation into a new file in `folder` (mode 0600), each copy verified.

    A file that cannot be copied is named in the manifest; the others are in the archive, whose name
    then says `.incomplete`. With `incremental`, files that are surely unchanged since the newest
    archive there are taken from that one. A database without a table holds nothing and is left out.
    Holds the lock of an upgrade, since an archive of half a split would be useless. A control plane
    is in it as a SQLite file of one moment, by which the apps are found; with `pg_dump`, a dump of
    the server's own program is beside it. Raises a `StreamHubError` where nothing was made.

    With `recipients`, public keys of age or SSH, the archive is encrypted: its name ends in `.age`,
    and of the plain one nothing stays. No later archive can take files over from it.

    With `bucket` the archive is stored there too; with `no_clobber` an object of its name stays.
    Where that fails, the archive in the folder stays, and `error` says why.
    """
    place = DataDir.find(data_dir)
    refuse_promoted(place)
    place.require_no_link(folder)
    keys = parse_recipients(recipients) if recipients else ()
    with (
        run_lock(place.lock_path, timeout_seconds=lock_timeout_seconds),
        translated(folder, "writing the backup"),
        _target_in(folder, place, incremental=incremental) as target,
    ):
        with _global_file(place, target.scratch, progress, pg_dump=pg_dump) as global_db:
            writing = _Writing(place, target, global_db)
            writing.write(jobs or os.cpu_count() or 1, progress)
        finished = target.sealed(keys) if keys else target
        archive = finished.publish(complete=not writing.manifest.failures)
    with as_operator(folder):
        size_bytes = archive.stat().st_size
        created = Created(archive, size_bytes, writing.manifest, writing.reused, writing.left_out)
        if bucket is not None:
            _store(created, bucket, no_clobber=no_clobber)
    return created


@dataclass(frozen=True)
class _Target:
    """The unfinished archive and the one before, both open, and the scratch folder for copies."""

    folder: Path
    unfinished: Path
    file: IO[bytes]
    previous: IO[bytes] | None
    known: dict[str, Entry]
    """The files of the archive before, by name."""
    scratch: Path
    is_encrypted: bool = False

    def sealed(self, recipients: Recipients) -> Self:
        """Encrypt it; the plain file beside it goes with the scratch folder."""
        with as_operator(self.folder):
            sealed = self.unfinished.with_name("sealed")
            with sealed.open("xb") as file:
                sealed.chmod(0o600)
                encrypt(self.file, file, recipients)
            self.unfinished.unlink()
        return replace(self, unfinished=sealed, is_encrypted=True)

    def publish(self, *, complete: bool) -> Path:
        """Give the archive its name: the present second, or the next one that is free."""
        self.file.flush()
        second = int(datetime.now(UTC).timestamp())
        with as_operator(self.folder):
            while True:
                time = datetime.fromtimestamp(second, UTC)
                name = ArchiveName(time, complete=complete, encrypted=self.is_encrypted)
                try:
                    publish(self.unfinished, self.folder / str(name), mode=0o600)
                except FileExistsError:
                    second += 1
                else:
                    return self.folder / str(name)


@contextmanager
def _target_in(folder: Path, place: DataDir, *, incremental: bool) -> Iterator[_Target]:
    """Open what lies in the folder, as the operator where it is his; work goes on as the owner.

    The owner cannot enter such a folder, so his copies then lie in the installation.
    """
    with ExitStack() as stack:
        with as_operator(folder) as is_operators:
            stack.enter_context(no_empty_folder_left(folder))
            make_folder(folder)
            unfinished = stack.enter_context(_scratch_in(folder, place))
            file = stack.enter_context((unfinished / "archive").open("x+b"))
            newest = _newest_in(folder) if incremental else None
        previous, known = None, _entries_of(newest)
        if newest is not None and known:
            previous = stack.enter_context(open_archive(newest))
        scratch = unfinished
        if is_operators:
            scratch = stack.enter_context(_scratch_in(place.root, place))
        yield _Target(folder, unfinished / "archive", file, previous, known, scratch)


@contextmanager
def _scratch_in(folder: Path, place: DataDir) -> Iterator[Path]:
    """Make a private folder for what is unfinished; a dead run's had the same name and goes.

    The run lock is held, so no living run of this installation uses it.
    """
    mark = sha256(os.fsencode(place.root)).hexdigest()[:12]
    scratch = folder / f".streamhub-backup-{mark}"
    make_scratch(scratch)
    try:
        yield scratch
    finally:
        with as_operator(folder):
            remove_folder(scratch)


def _newest_in(folder: Path) -> Path | None:
    names = [
        name
        for entry in folder.iterdir()
        if (name := ArchiveName.parse(entry.name))
        and not name.encrypted
        and not entry.is_symlink()
        and entry.is_file()
    ]
    return folder / str(max(names)) if names else None


@contextmanager
def _global_file(
    place: DataDir, scratch: Path, progress: Progress, *, pg_dump: bool
) -> Iterator[Path]:
    """Yield the file of the global database, or a copy of the one on a server."""
    if place.global_url is None:
        yield place.global_db
        return
    copy = scratch / GLOBAL_DB_NAME
    with copied_control_plane(place, copy, progress) as server:
        if pg_dump:
            from streamhub_orm.archives.server_dump import (  # noqa: PLC0415 - an extra
                dump_in_snapshot,
            )

            dump_in_snapshot(server, str(place.global_url), dump_beside(copy))
    yield copy


class _Writing:
    """One archive as it is written, whose unchanged files come from the one before."""

    def __init__(self, place: DataDir, target: _Target, global_db: Path) -> None:
        status = (place.global_db if place.global_url is None else place.root).stat()
        self.manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), __version__)
        self.reused = 0
        self.left_out: list[str] = []
        self._place = place
        self._target = target
        self._owner = Owner(status.st_uid, status.st_gid)
        self._packer = Packer(place, target.scratch, self._owner, target.known, global_db)

    def write(self, jobs: int, progress: Progress) -> None:
        """Pack the files side by side, append them in order, and end with the manifest."""
        found = find_parts(self._place, self._packer.global_db)
        self.manifest.failures.update(found.failures)
        self.left_out += found.empty
        for done, packed in enumerate(self._packer.pack_each(found.parts, jobs), start=1):
            self._append(packed, self._target.file)
            progress(_PHASE, done, len(found.parts))
        finish(self._target.file, self.manifest, self._owner)

    def _append(self, packed: Packed, target: IO[bytes]) -> None:
        if packed.error is not None:
            self.manifest.failures[packed.part.name] = packed.error
            return
        if packed.entry is None:
            self.left_out.append(packed.part.name)
            return
        offset = target.tell()
        if packed.fragment is not None:
            with packed.fragment.open("rb") as fragment:
                shutil.copyfileobj(fragment, target, 1 << 20)
            packed.fragment.unlink()
        elif self._take_over(packed.entry, target):
            self.reused += 1
        else:
            self._append(self._packer.pack(packed.part), target)
            return
        self.manifest.files.append(replace(packed.entry, offset=offset))

    def _take_over(self, entry: Entry, target: IO[bytes]) -> bool:
        previous = self._target.previous
        return previous is not None and copy_fragment(previous, entry, target)


def _entries_of(archive: Path | None) -> dict[str, Entry]:
    """Return the files of the archive before; none where it is damaged or another user's."""
    try:
        manifest = load_manifest(archive) if archive is not None else None
    except (DamagedArchiveError, UnusableArchiveError):
        return {}
    return {} if manifest is None else manifest.entries


def _store(created: Created, bucket: S3Settings, *, no_clobber: bool) -> None:
    try:
        with open_s3_store(bucket) as store:
            stored = store_archive(store, created.archive, no_clobber=no_clobber)
            created.stored = f"{store.name}/{stored.key}"
    except StorageError as error:
        created.error = str(error)
