"""Benchmarks of what media services call most: pages and look-ups of recordings, live streams."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet, names
from streamhub_orm import Databases
from streamhub_orm.app_db import StreamType
from streamhub_orm.services import streams, vods

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

    from benchmarks.contest import Run, Sample
    from benchmarks.scale import Scale

    Plainly = Callable[[sqlite3.Connection], object]
    Served = Callable[[Session], object]

_PAGE: Final = 200
_PAGES: Final = 50
"""In one run; each begins where the one before ended, as a client leafs through a list."""
_ROOMS: Final = 500
_NOW: Final = "2026-01-31 12:00:00"

_FIRST: Final = "SELECT * FROM vods ORDER BY started_at DESC, id DESC LIMIT ?"
_NEXT: Final = """
    SELECT * FROM vods WHERE (started_at, id) < (?, ?)
    ORDER BY started_at DESC, id DESC LIMIT ?"""
_STARTED_AT: Final = vods.VodRow._fields.index("started_at_text")
_BY_EGRESS: Final = """
    SELECT * FROM vods
    WHERE json_valid(metatags_json) AND json_extract(metatags_json, '$.egressId') = ?
    ORDER BY id DESC"""
_UPSERT: Final = """
    INSERT INTO streams (app_id, stream_id, type, room, participant, started_at)
    VALUES (1, ?, 'whip', ?, ?, ?)
    ON CONFLICT (stream_id) DO UPDATE SET
        type = CASE WHEN excluded.type = 'webrtc' THEN type ELSE excluded.type END,
        room = excluded.room, participant = excluded.participant, status = 'active', ended_at = NULL
    RETURNING id"""


def _vod_page(folder: Path, scale: Scale) -> Contest:
    pages = min(_PAGES, scale.vods // _PAGE)
    return _contest(
        folder,
        scale,
        Line("VOD page of 200", "ours", "floor", goal=2, unit="µs", per=pages),
        lambda connection: _leaf_plainly(connection, pages),
        lambda session: _leaf(session, pages),
    )


def _vod_by_egress(folder: Path, scale: Scale) -> Contest:
    chosen = random.Random(6)  # noqa: S311 - the same look-ups in every run
    numbers = [chosen.randrange(1, scale.vods + 1) for _ in range(scale.lookups)]
    wanted = [
        f"EG_{number * 2654435761 % 4294967296:08x}{number % 65536:04x}" for number in numbers
    ]

    def plainly(connection: sqlite3.Connection) -> None:
        for egress_id in wanted:
            assert connection.execute(_BY_EGRESS, (egress_id,)).fetchone()  # noqa: S101

    def served(session: Session) -> None:
        for egress_id in wanted:
            assert vods.find_by_egress(session, egress_id)  # noqa: S101

    line = Line("VOD by egress id", "ours", "floor", goal=4, unit="µs", per=scale.lookups)
    return _contest(folder, scale, line, plainly, served)


def _stream_upsert(folder: Path, scale: Scale) -> Contest:
    """Let publishers go live in one transaction: each comes twice, so half of them are new."""
    publishers = [(f"room-{n % _ROOMS}", f"cam {n}") for n in range(scale.lookups // 2)] * 2

    def plainly(connection: sqlite3.Connection) -> None:
        for room, participant in publishers:
            values = (f"{room}/{participant}", room, participant, _NOW)
            connection.execute(_UPSERT, values).fetchone()

    def served(session: Session) -> None:
        for room, participant in publishers:
            streams.upsert(session, room=room, participant=participant, type=StreamType.WHIP)

    line = Line("stream upsert", "ours", "floor", goal=4, unit="µs", per=len(publishers))
    return _contest(folder, scale, line, plainly, served, writes=True)


def _contest(  # noqa: PLR0913 - what a contest is made of
    folder: Path,
    scale: Scale,
    line: Line,
    plainly: Plainly,
    served: Served,
    *,
    writes: bool = False,
) -> Contest:
    """Let both do their work on one app, in a connection or a session that is held."""
    root = folder / "installation"
    streams_too = 5 / 4  # one row of five is a stream
    make_fleet(root, 1, rows=round(scale.vods * streams_too))
    contestants: dict[str, Run] = {
        "floor": partial(_held, root, plainly),
        "ours": partial(_in_one_session, root, served, writes=writes),
    }
    return Contest(contestants, [line], work=line.per)


def _held(root: Path, work: Plainly) -> Sample:
    """Measure in a transaction that is rolled back, with every cache warm."""
    path = root / f"apps/{names(1)[0]}/app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for _ in range(2):
            connection.execute("BEGIN")
            sample = timed(lambda: work(connection))
            connection.execute("ROLLBACK")
    return sample


def _in_one_session(root: Path, work: Served, *, writes: bool) -> Sample:
    (app,) = names(1)
    with Databases(root) as databases:
        for _ in range(2):
            with databases.app_session(app, read_only=not writes) as session:
                sample = timed(lambda: work(session))
                session.rollback()
    return sample


def _leaf_plainly(connection: sqlite3.Connection, pages: int) -> None:
    rows = connection.execute(_FIRST, (_PAGE,)).fetchall()
    for _ in range(pages - 1):
        key = (rows[-1][_STARTED_AT], rows[-1][0])
        rows = connection.execute(_NEXT, (*key, _PAGE)).fetchall()


def _leaf(session: Session, pages: int) -> None:
    newest = partial(vods.list_, session, order=vods.VodOrder.NEWEST, limit=_PAGE)
    rows = newest()
    for _ in range(pages - 1):
        rows = newest(after=rows[-1].key)


BENCHMARKS: Final = (
    Benchmark("vod-page", "services", "pages of recordings, one after the other", _vod_page),
    Benchmark("vod-by-egress", "services", "one recording by its egress", _vod_by_egress),
    Benchmark("stream-upsert", "services", "publishers that go live", _stream_upsert),
)
