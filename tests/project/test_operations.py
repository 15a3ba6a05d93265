"""The runbook is followed, word for word, on a real installation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

import pytest

from streamhub_orm.demo import write_demo

ROOT: Final = Path(__file__).parents[2]
RUNBOOK: Final = (ROOT / "docs/OPERATIONS.md").read_text("utf-8")


def blocks() -> list[str]:
    """Return the command blocks in their order; those in a list are indented."""
    found = re.findall(r"^ *```bash\n(.*?)^ *```$", RUNBOOK, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


@pytest.mark.slow
def test_every_block_of_the_runbook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    script = "set -eu\n" + "".join(
        f"echo '### {number}' >&2\n{block}" for number, block in enumerate(blocks(), start=1)
    )
    for folder in ("/srv/", "/var/backups/"):
        script = script.replace(folder, f"{tmp_path}{folder}")
    write_demo(tmp_path / "srv/streamhub")
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    inherited = {key: it for key, it in os.environ.items() if not key.startswith("BACKUP_")}
    done = subprocess.run(
        ["bash", "-c", script],
        env={**inherited, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "srv/copy-of-live/app.db").is_file()
    assert (tmp_path / "srv/new-disk/data/streamhub.db").is_file()
    assert not (tmp_path / "srv/drill").exists()


def test_every_error_of_the_runbook_is_one_that_is_written() -> None:
    """The words stand in the sources, so an operator who searches for them finds the row."""
    sources = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text("utf-8"))
        for path in (ROOT / "streamhub_orm").rglob("*.py")
    )
    table = RUNBOOK.partition("## What an error means")[2]
    words = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(words) > 15
    missing = [each for each in words if each not in sources]
    assert not missing


def test_unit_files_of_the_runbook_are_there() -> None:
    for pattern in re.findall(r"packaging/systemd/[\w.*-]+", RUNBOOK):
        assert list(ROOT.glob(pattern)), pattern
