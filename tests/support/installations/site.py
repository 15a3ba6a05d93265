"""An installation under construction, file by file."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .facts import APP_NAMES, app_db_path, global_path_of, vods_db_path
from .killed_writer import write_and_kill
from .rows import RowMaker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .facts import Row
    from .killed_writer import Statement


FEW = 8
"""The fewest rows per table with which every case of an era still occurs."""


@dataclass(frozen=True, slots=True)
class Written:
    """A row that the builder wrote: into which file of the installation, and for which app."""

    file: str
    table: str
    app: str | None
    row: Row


@dataclass(frozen=True, slots=True)
class Options:
    """What may vary within an era; None leaves the choice to the seed."""

    user_version: int | None = None
    ingress: bool | None = None
    runtime: tuple[str, ...] | None = None
    killed_writers: bool = True
    orphans: bool = True
    unregistered: bool = True


class File:
    """A database file under construction."""

    def __init__(self, site: Site, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.site = site
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA foreign_keys = ON")

    def insert(
        self, table: str, rows: Iterable[Row], *, app: str | None = None, late: bool = False
    ) -> None:
        """Write rows now, or `late`: by a process that is killed before its rows leave the -wal."""
        late = late and self.site.options.killed_writers
        statements: list[tuple[str, Row]] = []
        for row in rows:
            names = ", ".join(row)
            marks = ", ".join("?" for _ in row)
            statements.append((f"INSERT INTO {table} ({names}) VALUES ({marks})", row))
            self.site.record(self.path, table, app, row)
        if late:
            self.site.queue(self.path, [(sql, list(row.values())) for sql, row in statements])
            return
        self.connection.execute("BEGIN")
        for sql, row in statements:
            self.connection.execute(sql, list(row.values()))
        self.connection.execute("COMMIT")

    def script_late(self, sql: str) -> None:
        """Run a script in the process that gets killed, or now where there is none."""
        if self.site.options.killed_writers:
            self.site.queue(self.path, [(sql, None)])
        else:
            self.connection.executescript(sql)

    def burn_ids(self, table: str, row: Row) -> None:
        """Use up an id by a row that is deleted again, so that it must not come back."""
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.connection.execute(sql, list(row.values()))
        self.connection.execute(f"DELETE FROM {table} WHERE id = ?", (row["id"],))

    def set_marker(self, key: str, value: str = "1") -> None:
        self.insert("_streamhub_meta", [{"key": key, "value": value}])

    def set_user_version(self, version: int) -> None:
        self.connection.execute(f"PRAGMA user_version = {version}")


class Site:
    """An installation under construction."""

    def __init__(  # noqa: PLR0913
        self, data_dir: Path, *, layout: str, apps: int, rows: int, seed: int, options: Options
    ) -> None:
        self.data_dir = data_dir
        self.layout = layout
        self.rows = max(rows, 2 * FEW)
        self.streams, self.vods, self.ingress = (max(rows // it, FEW) for it in (3, 2, 6))
        self.seed = seed
        self.options = options
        self.names = [APP_NAMES[n] if n < len(APP_NAMES) else f"app-{n:05d}" for n in range(apps)]
        self.apps = {name: 1 + n + n // 2 for n, name in enumerate(self.names)}
        self.unregistered: list[str] = []
        self.written: list[Written] = []
        self._late: dict[Path, list[Statement]] = {}
        self._files: dict[Path, File] = {}

    def maker(self, *origin: str) -> RowMaker:
        return RowMaker(self.seed, *origin)

    def open_global(self) -> File:
        return self._open(global_path_of(self.data_dir, self.layout))

    def open_app_db(self, app: str) -> File:
        return self._open(app_db_path(self.data_dir, app))

    def open_vods_db(self, app: str) -> File:
        return self._open(vods_db_path(self.data_dir, app))

    def leave_empty_app_db(self, app: str) -> None:
        """Leave what an interrupted open leaves."""
        path = app_db_path(self.data_dir, app)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def record(self, path: Path, table: str, app: str | None, row: Row) -> None:
        name = path.relative_to(self.data_dir).as_posix()
        self.written.append(Written(name, table, app, dict(row)))

    def rows_of(self, path: Path, table: str, app: str) -> list[Row]:
        """List the rows that were written for an app, to be repeated elsewhere."""
        file = path.relative_to(self.data_dir).as_posix()
        wanted = (file, table, app)
        return [dict(it.row) for it in self.written if (it.file, it.table, it.app) == wanted]

    def queue(self, path: Path, statements: list[Statement]) -> None:
        self._late.setdefault(path, []).extend(statements)

    def lay_out_folders(self) -> None:
        """Write the files of an installation that are no databases."""
        beside_global = global_path_of(self.data_dir, self.layout).parent
        beside_global.mkdir(parents=True, exist_ok=True)
        secrets = beside_global / "secrets.json"
        secrets.touch(mode=0o600)
        secrets.write_text(json.dumps({"S3_SECRET": "never-in-a-database"}), encoding="utf-8")
        (self.data_dir / "logs").mkdir()
        (self.data_dir / "apps").mkdir()
        for name in self.names[1:]:  # the first app never wrote a file of its own
            folder = self.data_dir / "apps" / name
            for inner in ("recordings", "hls", "snapshots", "samples"):
                (folder / inner).mkdir(parents=True)
            (folder / "config.yaml").write_text("s3:\n  provider: minio\n", encoding="utf-8")

    def finish(self) -> None:
        """Close every file, then let the writers die that leave a -wal behind."""
        for file in self._files.values():
            file.connection.close()
        write_and_kill(self._late)

    def _open(self, path: Path) -> File:
        if path not in self._files:
            self._files[path] = File(self, path)
        return self._files[path]
