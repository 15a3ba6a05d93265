"""The systemd units are ones that systemd takes, and run commands that exist."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from streamhub_orm.settings import ArchiveSettings
from tests.project.test_docs import parse

UNITS: Final = Path(__file__).parents[2] / "packaging/systemd"
SERVICES: Final = sorted(UNITS.glob("*.service"))
TIMERS: Final = sorted(UNITS.glob("*.timer"))
INSTALLED: Final = "/opt/streamhub-orm/bin/streamhub-db"


def commands_of(service: Path) -> list[str]:
    return re.findall(r"^ExecStart=(.+)$", service.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_service_runs_commands_that_exist(service: Path) -> None:
    commands = commands_of(service)
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == INSTALLED
        parse(arguments)


@pytest.mark.parametrize("timer", TIMERS, ids=lambda path: path.stem)
def test_timer_starts_the_service_of_its_name(timer: Path) -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(timer.read_text("utf-8"))
    assert timer.with_suffix(".service") in SERVICES
    assert unit["Timer"]["Persistent"] == "true"
    assert unit["Install"]["WantedBy"] == "timers.target"


def test_example_of_the_environment_names_variables_that_are_read() -> None:
    text = (UNITS / "backup.env").read_text("utf-8")
    pairs = re.findall(r"^#?([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    found = ArchiveSettings.load({**dict(pairs), "BACKUP_S3_BUCKET": ""})
    assert found.local_dir == Path("/var/backups/streamhub")
    known = {"DATA_DIR", "LOG_RETENTION_DAYS"} | {
        f"BACKUP_{name}" for name in ("LOCAL_DIR", "RETENTION_DAYS", "AGE_RECIPIENTS")
    }
    bucket = {"BUCKET", "ENDPOINT", "REGION", "PREFIX", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"}
    assert {name for name, _ in pairs} == known | {f"BACKUP_S3_{name}" for name in bucket}


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds unknown settings, wrong times and programs that lack."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    program = shutil.which("streamhub-db", path=str(Path(sys.executable).parent))
    assert program is not None
    paths = []
    for unit in (*SERVICES, *TIMERS):
        path = tmp_path / unit.name
        path.write_text(unit.read_text("utf-8").replace(INSTALLED, program), "utf-8")
        paths.append(path)
    done = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "streamhub-" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
