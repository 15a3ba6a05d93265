"""Waits: for how long a command will hold up the writers of a database, estimated beforehand."""

from __future__ import annotations

from typing import Final

WORTH_SAYING_SECONDS: Final = 1.0

# Measured on two cores on an app.db of 300,000 rows (135 MB): its last revision, with its indices,
# took 0.6 s in one transaction; ANALYZE, REINDEX and VACUUM 3.8 s together. A legacy row that is
# imported with the indices in place takes 13 µs (docs/PERFORMANCE.md).
_MIGRATED: Final = 5e-9
_REWRITTEN: Final = 28e-9
_IMPORTED: Final = 13e-6


def estimated_seconds(
    *, migrated_bytes: int = 0, rewritten_bytes: int = 0, imported_rows: int = 0
) -> float:
    """Estimate for how long writers wait: `rewritten_bytes` are those of a file to be optimized."""
    migrated, rewritten = _MIGRATED * migrated_bytes, _REWRITTEN * rewritten_bytes
    return migrated + rewritten + _IMPORTED * imported_rows


def only_long(seconds: dict[str, float]) -> dict[str, float]:
    """Return the waits that an operator should hear of, by the database's name."""
    return {name: wait for name, wait in seconds.items() if wait > WORTH_SAYING_SECONDS}
