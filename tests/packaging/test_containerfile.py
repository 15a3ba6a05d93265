"""The Containerfile names what exists, runs as no root, and its health check tells the truth."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamhub_orm
from tests.admin.conftest import fill, serving
from tests.project.test_docs import parse

if TYPE_CHECKING:
    from streamhub_orm.testing.plugin import MakeStreamHub

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "packaging/Containerfile").read_text("utf-8")
STEPS: Final = [
    line.split(None, 1)
    for line in TEXT.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def last(step: str) -> str:
    return next(words for name, words in reversed(STEPS) if name == step)


def test_image_runs_a_command_that_exists_as_a_user_of_its_own() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["streamhub-db"]
    parse(json.loads(last("CMD")))
    assert last("USER") == "streamhub"
    assert STEPS.index(["USER", "streamhub"]) > max(
        number for number, (name, _) in enumerate(STEPS) if name in {"RUN", "COPY"}
    )
    folders = json.loads(last("VOLUME"))
    for name in ("DATA_DIR", "BACKUP_LOCAL_DIR"):
        (folder,) = re.findall(rf"{name}=(\S+)", last("ENV"))
        assert folder in folders


def test_wheel_that_is_copied_is_the_one_that_is_built() -> None:
    (pattern,) = re.findall(r"^COPY (\S+\.whl)", TEXT, re.MULTILINE)
    assert fnmatch(f"streamhub_orm-{streamhub_orm.__version__}-py3-none-any.whl", pattern)


def test_health_check_tells_whether_it_serves(make_streamhub: MakeStreamHub) -> None:
    program, *arguments = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    assert program == "python3"
    place = make_streamhub(apps=("live", "radio", "arena"))
    with serving(place, place.root.parent, fill(place)) as served:
        port = served.url.rpartition(":")[2].strip("/")
        assert "8788" in arguments[1]
        command = [sys.executable, "-c", arguments[1].replace("8788", port)]
        assert subprocess.run(command, check=False).returncode == 0
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode != 0
