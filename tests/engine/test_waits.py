"""The estimate of how long writers wait, and what is said of it before the work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.waits import estimated_seconds, only_long
from tests.support.installations import build_installation
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path


def test_estimate_grows_with_bytes_and_rows_and_short_waits_are_not_told() -> None:
    """A gigabyte takes seconds, a megabyte is not worth a word."""
    assert estimated_seconds(migrated_bytes=10**9) > 1
    assert estimated_seconds(rewritten_bytes=10**9) > estimated_seconds(migrated_bytes=10**9)
    assert estimated_seconds(imported_rows=600_000) > 1
    assert only_long({"live": 1.2, "tv": estimated_seconds(rewritten_bytes=10**6)}) == {"live": 1.2}


@pytest.mark.parametrize("command", ["upgrade", "optimize"])
def test_long_wait_is_announced_on_stderr_and_a_short_one_is_not(
    tmp_path: Path, command: str
) -> None:
    """Only the big file is named, --json stays whole, and the operator is told what to do."""
    data_dir = build_installation(tmp_path / "node", era="pre_tenancy").data_dir
    assert "writers will wait" not in run_in_process("--data-dir", data_dir, "upgrade").stderr
    path = data_dir / "apps/live/app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        if command == "upgrade":
            connection.execute("DELETE FROM _streamhub_meta WHERE key = 'global_import_done'")
        connection.execute("CREATE TABLE operators_own (x)")
    with closing(sqlite3.connect(path)) as connection, connection:
        for _ in range(16):
            connection.execute("INSERT INTO operators_own VALUES (zeroblob(16000000))")

    outcome = run_in_process("--data-dir", data_dir, "--json", command)

    assert "live: its writers will wait for about" in outcome.stderr
    assert "Stop the server" in outcome.stderr
    assert outcome.stderr.count("writers will wait") == 1
    assert '"ok"' in outcome.stdout
