"""Proof that no global copy of a moved row is needed any more, or the reasons against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streamhub_orm.engine.connections import reading
from streamhub_orm.errors import SplitCleanupError, StreamHubError
from streamhub_orm.legacy.accounts import RowCounts
from streamhub_orm.legacy.global_rows import build_row_index, count_global_rows, list_orphans
from streamhub_orm.legacy.proof import verify_global_rows
from streamhub_orm.legacy.sources import GlobalState, LegacyFiles
from streamhub_orm.migrations.states import State, is_done, look_for_upgrade
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.owner import scratch_folder
from streamhub_orm.registry import read_registry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir

LISTED: Final = 1000
"""Rows that a refusal names at most."""


@dataclass
class Proof:
    """Findings about the rows of the global streams, vods and ingress_auth."""

    rows: RowCounts
    differing: RowCounts = field(default_factory=RowCounts)
    """Rows whose like in the app.db has other content: it was changed since, or came first."""
    findings: list[str] = field(default_factory=list)
    """Reasons against deleting them."""
    unlisted: int = 0

    def add_rows(self, what: str, rows: list[str], count: int) -> None:
        """Add `count` rows that must stay; `rows` names the first of them."""
        self.findings += [f"{what}: {row}" for row in rows]
        self.unlisted += count - len(rows)

    @property
    def room(self) -> int:
        """Number of rows that may still be named."""
        return max(LISTED - len(self.findings), 0)


def prove_split(
    place: DataDir, global_db: Path, progress: Callable[[int, int], None] = lambda *_: None
) -> Proof:
    """Look up every row of `global_db`, or of its backup, in the app.db of its app; read-only.

    `progress` is told how many apps are done, and of how many.
    Raises `SplitCleanupError` with all that speaks against deleting them, or a
    `DatabaseFileError` where the global database itself cannot be used.
    """
    state = look_for_upgrade(global_db, GLOBAL, recover=False)
    if state.error is not None:
        raise state.error
    registry = read_registry_of(global_db)
    with reading(global_db) as connection:
        rows = count_global_rows(connection)
    proof = Proof(rows.all)
    if state.state is not State.CURRENT:
        proof.findings.append("a global database that is not at head")
    if not registry.split_done:
        proof.findings.append("a split that is not marked as done")
    orphans = list_orphans(global_db, limit=LISTED)
    proof.add_rows("a row of no registered app", orphans, rows.orphans(registry.ids).total)
    with scratch_folder("proof") as folder:
        row_index = build_row_index(global_db, folder / "rows")
        source = GlobalState(registry.split_done, rows)

        def legacy_files(name: str) -> LegacyFiles:
            paths = (global_db, place.legacy_db(name))
            app_id = registry.ids[name]
            return LegacyFiles(name, app_id, *paths, lambda: source, row_index=row_index)

        for done, (name, app_id) in enumerate(registry.ids.items(), start=1):
            if rows.of(name, app_id):
                _prove_app(place, name, legacy_files, proof)
            progress(done, len(registry.ids))
    if proof.findings:
        raise SplitCleanupError(place.global_db, proof.findings, proof.unlisted)
    return proof


def _prove_app(
    place: DataDir, name: str, legacy_files: Callable[[str], LegacyFiles], proof: Proof
) -> None:
    try:
        path, files = place.app_db(name), legacy_files(name)
        if not is_done(look_for_upgrade(path, APP, recover=False), APP):
            proof.findings.append(f"the app {name}, which is not upgraded")
            return
        found = verify_global_rows(path, files, examples=proof.room)
    except StreamHubError as error:
        proof.findings.append(f"the app {name}, which cannot be asked ({error})")
        return
    what = f"a row that is not in the app.db of {name}"
    proof.add_rows(what, found.examples, found.unmatched.total)
    proof.differing += found.differing
