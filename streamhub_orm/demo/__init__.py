"""Small old installations, to try the upgrade on before a real one.

Each folder here is an installation as it lies on disk, with an SQL dump in place of each database:
`mixed`, whose apps are each in the state of another era, and one of each era alone.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from streamhub_orm.durable_files import no_empty_folder_left
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import DemoTargetError

__all__ = ["ERAS", "write_demo"]

ERAS: Final = ("monolith", "vods_db", "pre_tenancy", "node_split", "node_head")
"""The states in which installations are found, oldest first."""

_FOLDER: Final = Path(__file__).parent
_MEDIA_FOLDERS: Final = ("recordings", "hls", "snapshots", "samples")


def write_demo(target: Path, era: str | None = None) -> None:
    """Write an installation of one of `ERAS`, or one that shows all of them at once.

    Its rows are the same at every call. All or nothing: whatever stops it takes its files and new
    folders along. Raises `DemoTargetError` if `target` holds anything.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DemoTargetError(target)
    target = target.absolute()
    with translated(target, "writing the demo"), no_empty_folder_left(target):
        target.mkdir(parents=True, exist_ok=True)
        try:
            _write(_FOLDER / (era or "mixed"), target)
        except BaseException:
            for path in target.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise


def _write(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        elif path.suffix == ".sql":
            _build_database(copy.with_suffix(""), path.read_text(encoding="utf-8"), target)
        else:
            _guard(copy)
            copy.write_bytes(path.read_bytes())
    # Neither Git nor a wheel holds empty folders.
    (target / "logs").mkdir()
    for app in (target / "apps").iterdir():
        for name in _MEDIA_FOLDERS:
            (app / name).mkdir()


def _build_database(path: Path, dump: str, data_dir: Path) -> None:
    """Run a dump, which may ask for `data_dir()`; an empty one is a zero-byte file."""
    _guard(path)
    if not dump:
        path.touch()
        return
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("data_dir", 0, lambda: str(data_dir))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(dump)


def _guard(path: Path) -> None:
    """Create what the Node core lets only its owner read, before anything is in it."""
    if path.name == "secrets.json" or ".bak-" in path.name:
        path.touch(mode=0o600)
