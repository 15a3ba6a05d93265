"""Row index of a run: whose the global rows are, looked up once where several apps will ask."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import temporary_beside
from streamhub_orm.engine.connections import translated
from streamhub_orm.legacy.global_rows import build_row_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.upgrade.preflight import Plan


def index_rows(plan: Plan, target: Path) -> None:
    """Write the index to a new file, and note it in the plan."""
    global_db = plan.place.global_db
    if plan.needs_row_index:
        with translated(global_db, "looking up whose its rows are"):
            plan.row_index = build_row_index(global_db, target)


@contextmanager
def temporary_row_index(plan: Plan) -> Iterator[None]:
    """Keep the index beside the global database, where the next run finds a dead one's."""
    global_db = plan.place.global_db
    with ExitStack() as stack:
        if plan.needs_row_index:
            with translated(global_db, "looking up whose its rows are"):
                index_rows(plan, stack.enter_context(temporary_beside(global_db)))
        yield
