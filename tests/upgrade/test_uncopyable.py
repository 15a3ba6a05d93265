"""Encodings, collations and columns that SQLite cannot attach or copy: refused, with what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.installations import Options
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakeInstallation

APP: Final = "radio--x"


def to_utf_16(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.executescript(f"{dump}; PRAGMA user_version = {version};")


def add_generated_column(path: Path) -> None:
    change(path, "ALTER TABLE vods ADD COLUMN own TEXT GENERATED ALWAYS AS (name || 'x') VIRTUAL")


def add_collated_index(path: Path) -> None:
    change(path, "CREATE INDEX idx_own ON vods (name COLLATE german)")


def add_collated_column(path: Path) -> None:
    change(path, "ALTER TABLE vods ADD COLUMN own TEXT COLLATE german")


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        connection.execute(statement)


SPOILS: Final[dict[Callable[[Path], None], str]] = {
    to_utf_16: "Write it anew in UTF-8",
    add_generated_column: "Drop the generated columns",
    add_collated_index: "Drop the index or column",
    add_collated_column: "Drop the index or column",
}


@pytest.mark.parametrize("where", ["app", "vods", "global"])
@pytest.mark.parametrize("spoil", SPOILS, ids=lambda it: it.__name__)
def test_file_is_refused_with_what_to_do(
    make_installation: MakeInstallation, where: str, spoil: Callable[[Path], None]
) -> None:
    """An app fails alone, the global file ends the run; one column of vods.db is harmless."""
    installation = make_installation("vods_db", options=Options(killed_writers=False))
    path = {
        "app": installation.app_db(APP),
        "vods": installation.vods_db(APP),
        "global": installation.global_path,
    }[where]
    spoil(path)
    before = fingerprint_files(installation.data_dir)
    done = run_in_process("--data-dir", installation.data_dir, "--json", "upgrade", "--jobs", "1")
    if (where, spoil) == ("vods", add_generated_column):
        assert done.status == 0, done
        return
    if spoil is add_generated_column and sqlite3.sqlite_version_info > (3, 41) and not done.status:
        return  # 3.46 copies what 3.40 cannot
    assert done.status == (3 if where == "global" else 1), done
    assert SPOILS[spoil] in done.stderr
    after = fingerprint_files(installation.data_dir)
    if where == "global":
        assert {it: after[it] for it in before} == before
        return
    failed = [app["app"] for app in done.report["apps"] if app["error"] is not None]
    assert failed == [APP]
    name = next(
        it for it in before if str(it).endswith(path.relative_to(installation.data_dir).as_posix())
    )
    assert after[name] == before[name]
