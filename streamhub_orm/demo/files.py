"""Writing the files of an old installation: databases step by step, and what lies beside them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from streamhub_orm.demo.rows import Row

_CONFIG = """\
# {name}: settings of this app; the keys of S3 stand in secrets.json under these names.
recording:
  enabled: true
s3:
  provider: minio
  bucket: recordings
  region: eu-central-1
  endpoint: http://minio.example:9000
  force_path_style: true
  prefix: {name}
  access_key_env: S3_ACCESS_KEY
  secret_key_env: S3_SECRET_KEY
"""


@contextmanager
def new_database(
    path: Path, steps: Iterable[str], *, user_version: int
) -> Iterator[sqlite3.Connection]:
    """Create a database as the Node core does, yield it to be filled, then commit and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        for step in steps:
            connection.executescript(step)
        yield connection
        connection.execute(f"PRAGMA user_version={user_version:d}")
        connection.commit()
    finally:
        connection.close()


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows; each names its own columns."""
    for row in rows:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - own names
        connection.execute(statement, tuple(row.values()))


def set_markers(connection: sqlite3.Connection, **markers: str) -> None:
    """Set bookkeeping keys as the Node core does."""
    rows = [
        {"key": key, "value": value, "updated_at": "2025-02-03 10:11:13"}
        for key, value in markers.items()
    ]
    insert(connection, "_streamhub_meta", rows)


def write_app_folder(folder: Path) -> None:
    """Make the folder of one app with its settings and media folders."""
    for name in ("recordings", "hls", "snapshots", "samples"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yaml").write_text(_CONFIG.format(name=folder.name), encoding="utf-8")


def write_secrets(path: Path) -> None:
    """Write the file that holds the keys of S3, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    secrets = {"S3_ACCESS_KEY": "demo-access-key", "S3_SECRET_KEY": "demo-secret-key"}
    path.write_text(json.dumps(secrets, indent=2) + "\n", encoding="utf-8")
