"""The facts without which a figure says nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def facts(folder: Path) -> dict[str, str | int]:
    """Return versions, cores and the file system under `folder`."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": version("sqlalchemy"),
        "alembic": version("alembic"),
        "streamhub_orm": version("streamhub-orm"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "file_system": _file_system(folder),
    }


def _file_system(folder: Path) -> str:
    """Return the type of the mount that holds `folder`: the longest mount point above it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0]))[1] if above else "unknown"
