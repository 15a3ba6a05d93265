"""Verification of an archive: every file as it was written, every database intact."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.format import load_manifest
from streamhub_orm.archives.names import Part, PartKind
from streamhub_orm.archives.places import LOCAL
from streamhub_orm.archives.unpacking import Unpacking
from streamhub_orm.archives.verification import record_verified
from streamhub_orm.data_dir import APP_NAME
from streamhub_orm.engine.connections import lossy_text, open_read_only, reading, translated
from streamhub_orm.engine.integrity import row_counts
from streamhub_orm.errors import DamagedArchiveError, IrregularFileError, StreamHubError
from streamhub_orm.global_db import App
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.owner import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from streamhub_orm.archives.format import Entry, Manifest
    from streamhub_orm.archives.places import Places
    from streamhub_orm.archives.unpacking import Unpacked

    Progress = Callable[[str, int, int], None]

PHASE: Final = "verifying"


@dataclass
class Verified:
    """The outcome of a look at every file of an archive."""

    archive: str
    """Path of the archive, or its URL."""
    manifest: Manifest | None
    """None where a shell script made the archive: then no checksums can be compared."""
    files: int = 0
    databases: int = 0
    rows: int = 0
    faults: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    """Files of the installation that are not in it, as far as that can be told from it."""

    @property
    def complete(self) -> bool:
        """True where it holds every database: it says so, or, without a manifest, it lacks none."""
        if self.manifest is not None:
            return not self.manifest.failures
        return not any(name.endswith(".db") for name in self.lacks)

    @property
    def ok(self) -> bool:
        """True where every file that is in it can be restored."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return the document that `backup verify --json` prints."""
        return {
            "ok": self.ok,
            "archive": self.archive,
            "complete": self.complete,
            "manifest": self.manifest is not None,
            "files": self.files,
            "databases": self.databases,
            "rows": self.rows,
            "faults": self.faults,
            "ignored": self.ignored,
            "lacks": self.lacks,
        }


def verify_archive(
    archive: Path, *, scratch: Path | None = None, progress: Progress = lambda *_: None
) -> Verified:
    """Read an archive to its end and check each file; needs room for the largest, in `scratch`.

    Faults of single files are in `faults`. Raises `DamagedArchiveError` for an archive that cannot
    be read to its end, `HostileArchiveError` for one with content that no archive has.
    """
    with scratch_folder("verify", within=scratch) as folder:
        check = Check(archive)
        for unpacked in check.unpacking.files(folder):
            check.look_at(unpacked)
            unpacked.path.unlink()
            files = check.found.files
            progress(PHASE, files, check.expected or files)
        return check.finish()


def verify_stored(
    places: Places, name: str, *, source: str = LOCAL, progress: Progress = lambda *_: None
) -> Verified:
    """Verify an archive of the folder or the bucket: by its name, a path, or `latest`.

    That one of this machine is good is recorded with its file.

    Raises what `verify_archive` and `Places.archive` raise.
    """
    with places.archive(source, name) as archive:
        verified = verify_archive(archive.path, progress=progress)
    verified.archive = archive.address
    if source == LOCAL and verified.ok and verified.complete:
        record_verified(Path(archive.address))
    return verified


class Check:
    """The checks of one archive, file by file."""

    def __init__(self, archive: Path) -> None:
        """Read the manifest; the files follow by `look_at`."""
        self.unpacking = Unpacking(archive)
        manifest = None
        with suppress(FileNotFoundError, NotADirectoryError, IrregularFileError):
            manifest = load_manifest(archive)  # what is no file is refused when it is unpacked
        self.found = Verified(str(archive), manifest)
        self._entries = self.found.manifest.entries if self.found.manifest else {}
        self._seen = set[str]()
        self._apps = set[str]()

    @property
    def expected(self) -> int:
        """The number of files that the manifest names; 0 without one."""
        return len(self._entries)

    def look_at(self, unpacked: Unpacked) -> None:
        """Check one file that was taken out of the archive."""
        name = unpacked.part.name
        self._seen.add(name)
        self.found.files += 1
        entry = self._entries.get(name)
        if self.found.manifest is not None:
            self.found.faults += _differences(unpacked, entry)
        if unpacked.part.kind.is_database:
            self.found.databases += 1
            self._look_at_database(unpacked, entry)

    def finish(self, *, partial: bool = False) -> Verified:
        """Return what was found; unless `partial`, no file of the manifest may lack."""
        self.found.ignored = self.unpacking.ignored
        if self.unpacking.has_manifest and self.found.manifest is None:
            self.found.faults.append("its last bytes are missing, which lead to the manifest")
        if not partial:
            missing = self._entries.keys() - self._seen
            self.found.faults += [f"{name} is missing" for name in sorted(missing)]
            self.found.lacks = self._lacking()
        if not self.found.databases and not partial:
            self.found.faults.append("no database at all")
        return self.found

    def _lacking(self) -> list[str]:
        """Return what is not in it of the apps that it knows, and of all that is no app's.

        The script of old looked for the databases in another layout than the server has, so its
        archives hold those of the apps alone, or all but those; never a config.yaml.
        """
        if self.found.manifest is not None:
            return sorted(self.found.manifest.failures)
        parts = [Part(PartKind.GLOBAL), Part(PartKind.SECRETS)]
        for app in sorted(filter(APP_NAME.fullmatch, self._apps)):
            parts += [Part(PartKind.APP, app), Part(PartKind.CONFIG, app)]
        return [part.name for part in parts if part.name not in self._seen]

    def _look_at_database(self, unpacked: Unpacked, entry: Entry | None) -> None:
        name = unpacked.part.name
        try:
            with translated(unpacked.path, "checking it"):
                counts = _require_intact(unpacked)
                self._apps |= _apps_of(unpacked, counts)
        except StreamHubError as error:
            self.found.faults.append(str(error).replace(str(unpacked.path), name))
            return
        except UnicodeDecodeError as error:  # of a damaged name, which SQLite tells as it is
            self.found.faults.append(f"{name}: damaged ({error})")
            return
        self.found.rows += sum(counts.values())
        if not counts:
            self.found.faults.append(f"{name} has no table")
        elif entry is not None and entry.rows != counts:
            self.found.faults.append(f"{name}: found {counts} rows, expected {entry.rows}")


def _apps_of(unpacked: Unpacked, tables: Collection[str]) -> set[str]:
    """Return the app that a database is of; of a global one, those that are registered in it."""
    if unpacked.part.kind is not PartKind.GLOBAL:
        return {unpacked.part.app or ""}
    if App.__tablename__ not in tables:
        return set()
    with reading(unpacked.path) as connection, lossy_text(connection):
        return {str(name) for (name,) in connection.execute("SELECT name FROM apps")}


def _differences(unpacked: Unpacked, entry: Entry | None) -> list[str]:
    name = unpacked.part.name
    if entry is None:
        return [f"{name} is not in the manifest"]
    if unpacked.sha256 != entry.sha256:
        return [f"{name}: found SHA-256 {unpacked.sha256}, expected {entry.sha256}"]
    return []


def _require_intact(unpacked: Unpacked) -> dict[str, int]:
    """Return the rows by table of a database that is whole and of a known release."""
    world = unpacked.part.kind.world
    if world is not None:
        found = look_at(unpacked.path, world)
        if found.error is not None and found.state is not State.MISSING:
            raise found.error
    with closing(open_read_only(unpacked.path)) as connection:
        damage = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if damage != "ok":
            raise DamagedArchiveError(unpacked.path, [str(damage)])
        return row_counts(connection)
