"""Proof that an app.db holds every row of its app that the global database has a copy of."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.sql import columns_of
from streamhub_orm.legacy.accounts import RowCounts
from streamhub_orm.legacy.matching import count_unmatched, iter_unmatched
from streamhub_orm.legacy.sources import VODS_DB, attach_sources
from streamhub_orm.legacy.table_copy import TableCopy

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.legacy.sources import LegacyFiles


@dataclass
class GlobalRows:
    """Comparison of the global rows of one app with its app.db."""

    unmatched: RowCounts = field(default_factory=RowCounts)
    """Rows that are not found there by the rules of the split."""
    examples: list[str] = field(default_factory=list)
    """The first of these, in words."""
    differing: RowCounts = field(default_factory=RowCounts)
    """Rows whose like is there with other content: it has lived on, or won when it came first."""


def verify_global_rows(path: Path, files: LegacyFiles, *, examples: int) -> GlobalRows:
    """Look up each global row of an app in its app.db, which is at head; nothing is written.

    The rows of its vods.db are not looked at. At most `examples` unmatched rows are named.
    """
    result = GlobalRows()
    with reading(path) as app_db:
        for source in attach_sources(app_db, files):
            for table in source.tables if source.name != VODS_DB else ():
                if not columns_of(app_db, source.schema, table):
                    continue
                missing = count_unmatched(app_db, source, table, files)
                result.unmatched.add(table, missing)
                room = examples - len(result.examples) if missing else 0
                named = iter_unmatched(app_db, source, table, files)
                result.examples += [f"{table}: {row}" for row in islice(named, room)]
                copy = TableCopy(app_db, source, table, files.row_parameters)
                result.differing.add(table, copy.count_superseded())
    return result
