"""Findings of a look: what was found, how bad it is, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.errors import StreamHubError

_MOST: Final = 5
"""Findings of one kind that are named; a fleet has the same fault in every app."""


class Verdict(StrEnum):
    """Judgement of one finding."""

    OK = "ok"
    WARNING = "warning"
    """Nothing fails tonight by it, but somebody should know."""
    FAILURE = "failure"
    """An upgrade, a backup or the server would fail."""


@dataclass(frozen=True)
class Finding:
    """Finding of one look."""

    subject: str
    verdict: Verdict
    found: str
    todo: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return one entry of `doctor --json`."""
        return {**asdict(self), "verdict": str(self.verdict)}


def few(failures: list[Finding]) -> Iterator[Finding]:
    """Yield the first failures of one kind, and how many more there are."""
    yield from failures[:_MOST]
    if len(failures) > _MOST:
        found = f"{len(failures) - _MOST:,} more databases with such faults"
        yield replace(failures[0], found=found, todo="`streamhub-db check` names them.")


def failure(subject: str, error: StreamHubError) -> Finding:
    """Return the finding of an error."""
    where = f"{error.subject}: " if error.subject else ""
    found = f"{where}found {error.found}; expected {error.expected}"
    return Finding(subject, Verdict.FAILURE, found, error.todo)
