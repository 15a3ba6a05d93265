"""The folder of a server's data: removed with the run, or by a later one where that was killed."""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING

from streamhub_orm.testing import postgresql

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_folders_that_killed_runs_left_go_and_those_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_MEMORY", tmp_path / "none")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, young = (tmp_path / f"{postgresql._PREFIX}{name}" for name in ("left", "young"))
    for folder in (left, young):
        (folder / "data").mkdir(parents=True)
    old = time.time() - 2 * postgresql._LEFT_AFTER_SECONDS
    with postgresql._data_folder() as used:
        for folder in (left, used):
            os.utime(folder, (old, old))
        with postgresql._data_folder() as other:
            assert {it.name for it in tmp_path.iterdir()} == {young.name, used.name, other.name}
    assert list(tmp_path.iterdir()) == [young]
