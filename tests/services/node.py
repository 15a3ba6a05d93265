"""A real Node process, for what the Node core computes."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def ask_node(script: str, *arguments: str) -> str:
    """Run a script and return what it printed; skip the test where there is no Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the PATH")
    command = [node, "-e", script, *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
