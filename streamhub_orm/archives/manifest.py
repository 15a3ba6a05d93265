"""The manifest: what an archive holds, and by what each file is known again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from streamhub_orm.archives.fingerprints import Fingerprint

FORMAT: Final = 1


@dataclass(frozen=True)
class Entry:
    """One file of the archive."""

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
    """Where its fragment begins in the archive: a gzip member of its own."""
    packed_bytes: int = 0
    packed_sha256: str = ""
    """Of the fragment, so that a later backup can take it over unseen."""
    source: Fingerprint | None = None
    """How the file in the installation looked; None where that proves nothing."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds, and what it lacks."""

    created_at: str
    """UTC, ISO 8601."""
    release: str
    files: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Path in the archive and reason, for each file that could not be backed up."""
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
                message = f"format {document['format']!r}, expected {FORMAT}"
                raise ValueError(message)
            files = [_entry(each) for each in document.pop("files")]
            return cls(files=files, **document)
        except (KeyError, TypeError, AttributeError) as error:
            message = f"{type(error).__name__} {error}"
            raise ValueError(message) from error


def _entry(document: dict[str, Any]) -> Entry:
    source = document.pop("source")
    return Entry(**document, source=None if source is None else Fingerprint(**source))
