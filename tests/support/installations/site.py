"""An installation under construction, file by file."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .facts import APP_NAMES, app_db_path, global_path_of, vods_db_path
from .killed_writer import write_and_kill
from .rows import RowMaker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .facts import Row, Value
    from .killed_writer import Statement

FEW: Final = 8
"""The fewest rows per table with which every case of an era still occurs."""
LATE_ROWS: Final = 5
"""How many rows of a table the killed writer leaves in the -wal."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may vary within an era; None leaves the choice to the seed."""

    user_version: int | None = None
    ingress: bool | None = None
    killed_writers: bool = True
    orphans: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A row that the builder wrote: into which file of the installation, and for which app."""

    file: str
    table: str
    app: str | None
    row: Row


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
        """Write rows; if `late`, the last ones by a process that is killed before a checkpoint."""
        statements = []
        for row in rows:
            statements.append(_insertion(table, row))
            self.site.record(self.path, table, app, row)
        late = late and self.site.options.killed_writers
        cut = max(len(statements) - LATE_ROWS, 0) if late else len(statements)
        self.connection.execute("BEGIN")
        for sql, values in statements[:cut]:
            self.connection.execute(sql, values)
        self.connection.execute("COMMIT")
        if statements[cut:]:
            self.site.leave_to_killed_writer(self.path, *statements[cut:])

    def burn_ids(self, table: str, row: Row) -> None:
        """Use up an id by a row that is deleted again, so that it must not come back."""
        self.connection.execute(*_insertion(table, row))
        self.connection.execute(f"DELETE FROM {table} WHERE id = ?", (row["id"],))

    def set_marker(self, key: str, value: str = "1") -> None:
        self.insert("_streamhub_meta", [{"key": key, "value": value}])

    def set_user_version(self, version: int) -> None:
        self.connection.execute(f"PRAGMA user_version = {version}")

    def columns(self, table: str) -> set[str]:
        """Name the columns of a table, none where the file does not have it."""
        return {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}


class Site:
    """An installation under construction."""

    def __init__(  # noqa: PLR0913
        self, data_dir: Path, *, layout: str, apps: int, rows: int, seed: int, options: Options
    ) -> None:
        self.data_dir = data_dir
        self.rows = max(rows, 2 * FEW)
        self.streams, self.vods, self.ingress = (max(rows // it, FEW) for it in (3, 2, 6))
        self.seed = seed
        self.options = options
        names = [*APP_NAMES[:apps], *(f"app-{n:05d}" for n in range(len(APP_NAMES), apps))]
        self.apps = {name: 1 + n + n // 2 for n, name in enumerate(names)}
        self.written: list[Written] = []
        self._global_path = global_path_of(data_dir, layout)
        self._late: dict[Path, list[Statement]] = {}
        self._files: dict[Path, File] = {}
        self._lay_out_folders()

    def maker(self, *origin: str) -> RowMaker:
        return RowMaker(self.seed, *origin)

    def open_global(self) -> File:
        return self._open(self._global_path)

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

    def leave_to_killed_writer(self, path: Path, *statements: Statement) -> None:
        self._late.setdefault(path, []).extend(statements)

    def finish(self) -> None:
        """Close every file, then let the writers die that leave a -wal behind."""
        for file in self._files.values():
            file.connection.close()
        write_and_kill(self._late)

    def _open(self, path: Path) -> File:
        if path not in self._files:
            self._files[path] = File(self, path)
        return self._files[path]

    def _lay_out_folders(self) -> None:
        """Write the files of an installation that are no databases."""
        self._global_path.parent.mkdir(parents=True, exist_ok=True)
        secrets = self._global_path.with_name("secrets.json")
        secrets.touch(mode=0o600)
        secrets.write_text(json.dumps({"S3_SECRET": "never-in-a-database"}), encoding="utf-8")
        (self.data_dir / "logs").mkdir()
        (self.data_dir / "apps").mkdir()
        for name in list(self.apps)[1:]:  # the first app never wrote a file of its own
            folder = self.data_dir / "apps" / name
            for inner in ("recordings", "hls", "snapshots", "samples"):
                (folder / inner).mkdir(parents=True)
            (folder / "config.yaml").write_text("s3:\n  provider: minio\n", encoding="utf-8")


def _insertion(table: str, row: Row) -> tuple[str, list[Value]]:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    return f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values())
