"""Strategies for arbitrary installations.

The values come from small pools, so that ids, stream_ids and whole recordings collide in most
examples rather than in one of a million.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from tests.support.installations.ddl import GLOBAL_RUNTIME, VODS_DB_LATE_COLUMNS
from tests.support.installations.facts import APP_MARKERS, APP_NAMES, LAYOUTS, NODE_HEAD

from .plans import AppPlan, GlobalPlan, LegacyFile, OwnFile, Rows, SitePlan

if TYPE_CHECKING:
    from tests.support.installations.facts import Row

IDS: Final = (
    *(1, 2, 3, 4, 5, 6) * 3,  # more often than not, so that ids collide
    *(0, -1, -(2**63)),
    *(9, 2**40, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 2, 2**63 - 1),
)
"""Ids as SQLite takes them: small ones, none and less, gaps, and the end of the 64 bits."""
APP_IDS: Final = (1, 2, 4, 99)
"""Those of the first three apps of a site, and one of no app."""
APPS: Final = (*APP_NAMES[:3], "Live", "Ghost App")
STREAM_IDS: Final = ("a/1", "a/2", "A/1", "b/1", "ü 🎥/1", "")
TIMES: Final = ("2024-01-01 00:00:00", "2024-01-01T00:00:00.000Z")

MAX_ROWS: Final = 5


def streams() -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries(
        {
            "id": st.sampled_from(IDS),
            "app_id": st.sampled_from(APP_IDS),
            "stream_id": st.sampled_from(STREAM_IDS),
            "type": st.sampled_from(("webrtc", "whip")),
            "room": st.sampled_from((None, "a", "O'Brien")),
            "status": st.sampled_from(("active", "ended")),
            "started_at": st.sampled_from(TIMES),
            "last_stats_json": st.sampled_from((None, "{}")),
        }
    )


def vods() -> st.SearchStrategy[Row]:
    """Recordings, of which many are equal in the five columns that tell them apart."""
    return st.fixed_dictionaries(
        {
            "id": st.sampled_from(IDS),
            "app_id": st.sampled_from(APP_IDS),
            "stream_id": st.sampled_from((None, "a/1")),
            "room": st.sampled_from((None, "", "r")),
            "name": st.sampled_from(("recording.mp4", "Ä.mp4")),
            "started_at": st.sampled_from((None, *TIMES)),
            "status": st.sampled_from(("recording", "ready")),
            "size_bytes": st.sampled_from((None, 2**53 + 1)),
            "duration_s": st.sampled_from((None, 0.1)),
            "metatags_json": st.sampled_from((None, '{"egressId": "E"}')),
            "snapshot_key": st.sampled_from((None, "s.jpg")),
        }
    )


def ingress() -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries(
        {
            "ingress_id": st.sampled_from(("wsi_1", "wsi_2", "WSI_1", "IN_1", "IN_2", "ü")),
            "app": st.sampled_from(APPS),
            "room": st.sampled_from((None, "a")),
            "stream_key": st.sampled_from((None, "wsk_1", "wsk_2")),
            "requires_password": st.sampled_from((0, 1)),
            "created_at": st.sampled_from(TIMES),
        }
    )


def rows() -> st.SearchStrategy[Rows]:
    def distinct(row: st.SearchStrategy[Row], *keys: str) -> st.SearchStrategy[tuple[Row, ...]]:
        unique = tuple(map(itemgetter, keys))
        return st.lists(row, max_size=MAX_ROWS, unique_by=unique).map(tuple)

    return st.builds(
        Rows,
        distinct(streams(), "id", "stream_id"),
        distinct(vods(), "id"),
        distinct(ingress(), "ingress_id"),
    )


def versions() -> st.SearchStrategy[int | None]:
    """The step itself more often than not; else any number, since it is a hint only."""
    return st.none() | st.none() | st.integers(0, NODE_HEAD)


def subsets(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=len(names)).map(tuple)


def seldom() -> st.SearchStrategy[bool]:
    return st.sampled_from((False, False, False, False, False, True))


def apps() -> st.SearchStrategy[AppPlan]:
    own = st.builds(
        OwnFile,
        step=st.integers(0, NODE_HEAD),
        user_version=versions(),
        rows=rows(),
        markers=st.just(()) | subsets(APP_MARKERS),
        burnt_id=st.sampled_from((None, 3, 1_000)),
        late=seldom(),
    )
    legacy = st.builds(
        LegacyFile,
        rows=rows(),
        lacking=subsets(VODS_DB_LATE_COLUMNS),
        empty=seldom(),
        late=seldom(),
    )
    return st.builds(
        AppPlan,
        own=st.none() | own,
        legacy=st.none() | legacy,
        core_import=st.sampled_from(("none", "none", "streams", "all")),
        core_copy=st.sampled_from(("none", "none", "streams", "vods", "all")),
        updated=st.booleans(),
    )


def global_files() -> st.SearchStrategy[GlobalPlan]:
    return st.integers(1, NODE_HEAD).flatmap(
        lambda step: st.builds(
            GlobalPlan,
            step=st.just(step),
            user_version=versions(),
            additions=subsets(
                tuple(name for name, it in GLOBAL_RUNTIME.items() if it.step <= step)
            ),
            legacy_tables=st.sampled_from(
                (("streams", "vods"), ("streams", "vods"), ("streams",), ("vods",), ())
            ),
            rows=rows(),
            split_done=st.booleans(),
            late=seldom(),
        )
    )


def sites() -> st.SearchStrategy[SitePlan]:
    """Whole installations of one to three apps."""
    return st.builds(
        SitePlan,
        layout=st.sampled_from(LAYOUTS),
        global_file=global_files(),
        apps=st.lists(apps(), min_size=1, max_size=3).map(tuple),
        unregistered=seldom(),
    )
