"""Names and numbers that the schema reference and the design state, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

Value = str | int | float | bytes | None
Row = dict[str, Value]

ERAS: Final = ("monolith", "vods_db", "pre_tenancy", "node_split", "node_head")
LAYOUTS: Final = ("nested", "flat")

NODE_HEAD: Final = 8
"""`PRAGMA user_version` of both kinds of file once the Node core has nothing left to do."""

GLOBAL_PARITY: Final = "g0013"
APP_PARITY: Final = "a0008"

SPLIT_DONE: Final = "per_app_split_done"
SPLIT_BACKUP: Final = "per_app_split_backup"
APP_MARKERS: Final = ("global_import_done", "ingress_import_done", "vods_import_done")

MOVED_TABLES: Final = ("streams", "vods", "ingress_auth")
"""Tables whose rows the split brings into app.db."""

VOD_IDENTITY: Final = ("app_id", "stream_id", "room", "name", "started_at")
"""Two vods of one id that agree in these columns are the same recording."""

APP_NAMES: Final = (
    "live",
    "tv-2",
    "000",
    "a-name-of-thirty-two-characters1",
    "radio--x",
    "studio9",
)

_GLOBAL_PATHS: Final = {
    "nested": Path("data") / "streamhub.db",
    "flat": Path("streamhub.db"),
}


def global_path_of(data_dir: Path, layout: str) -> Path:
    """Where the global database of a layout lies."""
    return data_dir / _GLOBAL_PATHS[layout]


def find_global_path(data_dir: Path) -> Path:
    """Find the global database of an installation that has exactly one."""
    found = [data_dir / path for path in _GLOBAL_PATHS.values() if (data_dir / path).is_file()]
    (path,) = found
    return path


def app_db_path(data_dir: Path, app: str) -> Path:
    """Where the database of an app lies."""
    return data_dir / "apps" / app / "app.db"


def vods_db_path(data_dir: Path, app: str) -> Path:
    """Where the legacy file of an app lies."""
    return data_dir / "apps" / app / "vods.db"
