"""The runbook is followed, word for word, on a real installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.demo import write_demo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
RUNBOOK: Final = (ROOT / "docs/OPERATIONS.md").read_text("utf-8")
BEGINNING, SET_UP, REST = re.split(
    r"^(?=## Set up$|## Upgrade night$)", RUNBOOK, flags=re.MULTILINE
)
ALARM_URL: Final = "https://ntfy.example.org/streamhub"
OWNER: Final = "daemon"
MOST_COMMANDS: Final = 10


def blocks(text: str) -> list[str]:
    """Return the command blocks in their order; those in a list are indented."""
    found = re.findall(r"^ *```bash\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


@pytest.mark.slow
def test_every_block_of_the_runbook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    script = "set -eu\n" + "".join(
        f"echo '### {number}' >&2\n{block}"
        for number, block in enumerate(blocks(BEGINNING + REST), start=1)
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


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    posted: Final[list[str]] = []

    def do_POST(self) -> None:
        self.posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def alarm_url() -> Iterator[str]:
    """Start a server that keeps what is posted to it."""
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Machine:
    """A shell of root whose /etc, /opt, /srv, /usr/local and /var/backups are a folder's."""

    def __init__(self, folder: Path) -> None:
        """Make the folders; those of the machine are below the copies of two of them."""
        self.files = folder / "machine"
        self.home = folder / "home"
        self.mounts = "set -eu\n"
        for name in ("etc", "opt", "usr/local", "srv", "var/backups"):
            upper, work = self.files / name, folder / "work" / name
            for each in (upper, work, self.home):
                each.mkdir(parents=True, exist_ok=True)
            layers = f"lowerdir=/{name},upperdir={upper},workdir={work}"
            self.mounts += (
                f"mount --bind {upper} /{name}\n"
                if name in {"srv", "var/backups"}
                else f"mount -t overlay overlay -o {layers} /{name}\n"
            )
        tools = folder / "tools"
        tools.mkdir()
        (tools / "systemctl").symlink_to(ROOT / "tests/support/systemctl.py")
        # pip writes no bytecode, which takes half of its time.
        names = {"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin:/usr/sbin", "PIP_NO_COMPILE": "1"}
        hidden = ("BACKUP_", "DATA_DIR", "VIRTUAL_ENV", "PYTHON")
        inherited = {key: it for key, it in os.environ.items() if not key.startswith(hidden)}
        self.environment = {**inherited, **names}

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, in the folder `home`."""
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", self.mounts + script],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    needs = "python3 -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)'"
    needs += f"; command -v curl setpriv systemd-sysusers systemd-tmpfiles; id {OWNER}"
    done = machine.run(needs)
    if done.returncode:
        pytest.skip(f"not root, or no Debian-like machine: {done.stderr}")
    return machine


@pytest.mark.slow
def test_ten_commands_lead_from_the_wheel_to_a_nightly_encrypted_backup_with_an_alarm(
    machine: Machine, built: Path, alarm_url: str
) -> None:
    """In a fresh environment with the built wheel; only systemd itself is stood in for."""
    commands, drill = blocks(SET_UP)
    assert len(commands.splitlines()) <= MOST_COMMANDS
    assert ALARM_URL in commands
    (wheel,) = built.glob("*.whl")
    shutil.copy(wheel, machine.home)
    write_demo(machine.files / "srv/streamhub")
    for path in (machine.files / "srv/streamhub", *(machine.files / "srv").rglob("*")):
        shutil.chown(path, OWNER, OWNER)
    done = machine.run(commands.replace(ALARM_URL, alarm_url))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    (archive,) = (machine.files / "var/backups/streamhub").iterdir()
    assert archive.read_bytes().startswith(b"age-encryption.org/v1")
    assert (archive.owner(), archive.stat().st_mode & 0o777) == (OWNER, 0o600)
    assert Receiver.posted == []
    assert (machine.home / "identity.txt").stat().st_mode & 0o777 == 0o600

    done = machine.run(f"{blocks(BEGINNING)[0]}{drill}")
    assert done.returncode == 0, done.stdout + done.stderr

    archive.unlink()
    done = machine.run("systemctl start streamhub-backup-check.service")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no complete backup" in done.stderr
    assert [it.partition(" on ")[0] for it in Receiver.posted] == [
        "streamhub-backup-check has failed"
    ]


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
