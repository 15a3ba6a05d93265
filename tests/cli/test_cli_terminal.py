"""What a person sees on a terminal: nothing of a table is cut off, however narrow it is."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from streamhub_orm.init import make_installation as init
from tests.support.installations.commands import CHECKOUT, COMMAND

if TYPE_CHECKING:
    from pathlib import Path


def on_terminal(*arguments: str | Path, columns: int) -> str:
    """Run the command with a terminal as its stdout, and return what it shows."""
    master, terminal = os.openpty()
    try:
        subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=CHECKOUT,
            env={**os.environ, "COLUMNS": str(columns), "TERM": "dumb"},
            stdout=terminal,
            check=True,
            timeout=60,
        )
    finally:
        os.close(terminal)
    with os.fdopen(master, "rb") as shown:
        return shown.read1(65536).decode()


def test_path_that_is_wider_than_the_terminal_is_folded(tmp_path: Path) -> None:
    """The name of the backup, at the path's end, is what a person needs of it."""
    data_dir = init(tmp_path / ("long-" * 20)).root
    shown = on_terminal("--data-dir", data_dir, "downgrade", "g0013", columns=80)
    (backup,) = (data_dir / "data").glob("streamhub.db.bak-*")
    assert all(len(line) <= 80 for line in shown.splitlines())
    _, *rows = shown.splitlines()
    assert "".join(row[len("database  from   to     ") :].strip() for row in rows) == str(backup)
