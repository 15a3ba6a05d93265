"""Scratch folders of runs, which hold copies of databases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.owner import scratch_folder
from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    import pytest

_MAKE_ONE: Final = """
from streamhub_orm.owner import scratch_folder
with scratch_folder("rehearsal") as folder:
    (folder / "app.db").write_bytes(b"rows")
    print(folder, flush=True)
    input()
"""


def test_folder_of_a_killed_run_is_removed_by_the_next_and_none_of_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKE_ONE],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    with runs[0] as living, runs[1] as killed:
        folders = [Path(str(it.stdout and it.stdout.readline()).strip()) for it in runs]
        killed.kill()
        killed.wait()
        for folder in folders:
            os.utime(folder / ".held", (0, 0))
        just_made = tmp_path / "streamhub-rehearsal-new"
        just_made.mkdir()
        with scratch_folder("verify"):
            assert all(folder.exists() for folder in folders)
        with scratch_folder("rehearsal"):
            assert (folders[0] / "app.db").exists()
            assert not folders[1].exists()
            assert just_made.exists()
        living.communicate("\n", timeout=10)
    assert list(tmp_path.iterdir()) == [just_made]
