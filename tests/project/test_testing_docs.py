"""docs/TESTING.md is a file of tests that pass, for one who has but the package and pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs/TESTING.md"
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CHECKOUT: Final = PAGE.parents[1]


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={
            "PYTHONPATH": str(CHECKOUT),
            "PATH": "/usr/bin:/bin",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_blocks_are_tests_that_pass(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks), encoding="utf-8")
    plugin = ("-p", "streamhub_orm.testing.plugin")
    done = run("-m", "pytest", "-q", "-W", "error", *plugin, "test_page.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b14 passed", done.stdout), done.stdout


def test_the_plugin_costs_those_who_ask_for_nothing_nothing(tmp_path: Path) -> None:
    heavy = ("sqlalchemy", "alembic", "boto3", "streamhub_orm.databases")
    code = f"import sys, streamhub_orm.testing.plugin; assert not {{*{heavy}}} & {{*sys.modules}}"
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_other_modules_need_no_pytest(tmp_path: Path) -> None:
    names = "installations, rows, checks, seaweedfs"
    code = f"import sys; sys.modules['pytest'] = None\nfrom streamhub_orm.testing import {names}"
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
