"""One file on its way into an archive: copied, verified, compressed; or known to be unchanged."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamhub_orm.archives.archive import Owner, pack
from streamhub_orm.archives.fingerprints import Fingerprint
from streamhub_orm.archives.manifest import Entry
from streamhub_orm.engine.backups import copy_verified
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.states import look_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from streamhub_orm.archives.sources import Source


@dataclass(frozen=True)
class Prepared:
    """A file that is ready to be appended, or the reason why it cannot be."""

    source: Source
    entry: Entry | None = None
    fragment: Path | None = None
    """The compressed file; None where the archive before holds it already."""
    error: str | None = None


@dataclass(frozen=True)
class Preparation:
    """How files are prepared for one archive."""

    scratch: Path
    owner: Owner
    known: dict[str, Entry]
    """What the archive before holds, by name."""

    def prepare_each(self, sources: Iterable[Source], jobs: int) -> Iterator[Prepared]:
        """Prepare files in threads, `jobs` at a time, and yield them in order.

        Copying, hashing and compressing all leave the interpreter free for the other threads. Only
        a few finished files wait for their turn, so that the scratch space stays bounded.
        """
        with ThreadPoolExecutor(jobs) as threads:
            waiting: deque[Future[Prepared]] = deque()
            for source in sources:
                waiting.append(threads.submit(self.prepare, source))
                if len(waiting) > jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def prepare(self, source: Source) -> Prepared:
        """Take the file over from the archive before if it is surely unchanged, else read it."""
        known = self.known.get(source.member.name)
        if known is not None and known.source is not None:
            with suppress(OSError):
                if Fingerprint.take(source.path) == known.source:
                    return Prepared(source, known)
        return self.read(source)

    def read(self, source: Source) -> Prepared:
        """Copy the file as it is now, verify the copy, and compress it."""
        fragment = self.scratch / source.member.name.replace("/", "_")
        try:
            with translated(source.path, "backing it up"):
                entry = self._read(source, fragment)
        except StreamHubError as error:
            fragment.unlink(missing_ok=True)
            return Prepared(source, error=str(error))
        return Prepared(source, entry, fragment)

    def _read(self, source: Source, fragment: Path) -> Entry:
        # Looked at before it is copied: what is written meanwhile makes the next look differ.
        fingerprint = Fingerprint.take(source.path)
        if not source.member.kind.is_database:
            return self._pack(source, source.path, fragment, Entry("", 0, "", source=fingerprint))
        copy = fragment.with_suffix(".copy")
        rows = copy_verified(source.path, copy)
        world = source.member.kind.world
        revision = look_at(copy, world).revision if world is not None else None
        known = Entry("", 0, "", revision, rows, source=fingerprint)
        try:
            return self._pack(source, copy, fragment, known)
        finally:
            copy.unlink()

    def _pack(self, source: Source, content: Path, fragment: Path, known: Entry) -> Entry:
        name = source.member.name
        with content.open("rb") as plain, fragment.open("wb") as packed:
            found = pack(plain, name, content.stat().st_size, self.owner, packed)
        return Entry(
            name,
            found.bytes,
            found.sha256,
            known.revision,
            known.rows,
            packed_bytes=found.packed_bytes,
            packed_sha256=found.packed_sha256,
            source=known.source,
        )
