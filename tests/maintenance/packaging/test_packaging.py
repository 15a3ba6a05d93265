"""`packaging`: systemd takes what it writes, rates it safe, and runs programs that exist."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from streamhub_orm.cli import cli
from streamhub_orm.maintenance.packaging.man import man_pages
from streamhub_orm.settings import ArchiveSettings
from tests.project.test_docs import COMMANDS, blocks, parse, section
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from tests.support.installations.commands import Outcome

UNITS: Final = "usr/local/lib/systemd/system"
PROGRAM: Final = "/opt/streamhub-orm/bin/streamhub-db"
SSH_KEY: Final = (
    Ed25519PrivateKey.from_private_bytes(bytes(32))
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
)
SAFE: Final = 2.0
"""The exposure, of 10, below which a service has to be."""


def write(root: Path, *options: str, data_dir: str = "/srv/streamhub") -> Outcome:
    done = run_in_process("--data-dir", data_dir, "packaging", root, *options)
    assert done.status == 0, done
    return done


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write(root, "--program", PROGRAM)
    return root


def services(root: Path) -> list[Path]:
    found = sorted((root / UNITS).glob("*.service"))
    assert len(found) > 4
    return found


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text("utf-8"))
    return parsed


def test_services_run_commands_that_exist(root: Path) -> None:
    for service in services(root):
        commands = re.findall(r"^ExecStart=(.+)$", service.read_text("utf-8"), re.MULTILINE)
        assert commands
        for command in commands:
            program, *arguments = shlex.split(command)
            if program == PROGRAM:
                parse(arguments)
            else:
                assert (root / program.lstrip("/")).stat().st_mode & 0o111


def test_every_service_but_the_alarm_raises_it_and_names_its_manual(root: Path) -> None:
    pages = {path.name for path in (root / "usr/local/share/man/man1").iterdir()}
    for service in services(root):
        found = unit(service)["Unit"]
        for page in re.findall(r"man:([\w-]+)\(1\)", found["Documentation"]):
            assert f"{page}.1" in pages
        if service.name != "streamhub-alarm@.service":
            assert found["OnFailure"] == "streamhub-alarm@%N.service"


def test_timers_start_the_services_of_their_names(root: Path) -> None:
    timers = sorted((root / UNITS).glob("*.timer"))
    assert [it.stem for it in timers] == [
        f"streamhub-{it}" for it in ("backup-check", "backup", "drill", "retention")
    ]
    for timer in timers:
        assert timer.with_suffix(".service").is_file()
        assert unit(timer)["Timer"]["Persistent"] == "true"
        assert unit(timer)["Install"]["WantedBy"] == "timers.target"


def test_environment_names_variables_that_are_read(root: Path) -> None:
    path = root / "etc/streamhub/backup.env"
    assert path.stat().st_mode & 0o777 == 0o600
    pairs = re.findall(r"^#?([A-Z0-9_]+)=(.*)$", path.read_text("utf-8"), re.MULTILINE)
    found = ArchiveSettings.load({**dict(pairs), "BACKUP_S3_BUCKET": ""})
    assert found.local_dir == Path("/var/backups/streamhub")
    assert found.recipients == ()
    known = {"DATA_DIR", "LOG_RETENTION_DAYS", "BACKUP_LOCAL_DIR", "BACKUP_RETENTION_DAYS"}
    known |= {"BACKUP_AGE_RECIPIENTS", "BACKUP_AGE_IDENTITY", "ALARM_URL"}
    bucket = {"BUCKET", "ENDPOINT", "REGION", "PREFIX", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"}
    assert {name for name, _ in pairs} == known | {f"BACKUP_S3_{name}" for name in bucket}


def test_json_is_as_the_reference_shows_it(tmp_path: Path) -> None:
    (example,) = blocks(section("packaging"), "json")
    done = run_in_process("--data-dir", "/srv/streamhub", "--json", "packaging", tmp_path)
    assert done.report.keys() == json.loads(example).keys()
    assert {item["path"] for item in done.report["items"]} == {
        str(path) for path in tmp_path.rglob("*") if path.is_file()
    }


def test_options_reach_the_files(tmp_path: Path) -> None:
    key = str(pyrage.x25519.Identity.generate().to_public())
    options = ["--backup-dir", "/backups", "--user", "media", "--recipient", key]
    options += ["--alarm-url", "https://tell.me/it?a=1", "--program", "/usr/bin/it"]
    write(tmp_path, *options, data_dir="/data")
    text = {path.name: path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    backup = unit(tmp_path / UNITS / "streamhub-backup.service")["Service"]
    assert backup["ExecStart"].startswith("/usr/bin/it ")
    assert (backup["User"], backup["Group"]) == ("media", "media")
    assert backup["ReadWritePaths"] == "/data /backups"
    assert f"\nBACKUP_AGE_RECIPIENTS={key}\n" in text["backup.env"]
    assert "\nALARM_URL=https://tell.me/it?a=1\n" in text["backup.env"]
    assert "\nDATA_DIR=/data\nBACKUP_LOCAL_DIR=/backups\n" in text["backup.env"]
    assert "d /backups 0700 media media -" in (
        tmp_path / "usr/local/lib/tmpfiles.d/streamhub-orm.conf"
    ).read_text("utf-8")
    assert not [name for name, it in text.items() if "{{" in it or "{%" in it]


@pytest.mark.parametrize(
    ("data_dir", "expected"), [("/srv/streamhub", "yes"), ("/home/media/data", "read-only")]
)
def test_homes_are_hidden_unless_something_of_it_lies_there(
    tmp_path: Path, data_dir: str, expected: str
) -> None:
    write(tmp_path, "--program", PROGRAM, data_dir=data_dir)
    service = unit(tmp_path / UNITS / "streamhub-backup.service")["Service"]
    assert service["ProtectHome"] == expected


def test_second_run_replaces_the_units_and_keeps_what_is_the_operators(tmp_path: Path) -> None:
    write(tmp_path, "--program", "/usr/bin/old")
    config = tmp_path / "etc/streamhub/backup.env"
    config.write_text("BACKUP_S3_SECRET_ACCESS_KEY=mine\n", "utf-8")
    alarm = tmp_path / "etc/streamhub/alarm"
    alarm.unlink()
    alarm.symlink_to("/nowhere")
    done = write(tmp_path, "--program", "/usr/bin/new")
    assert config.read_text("utf-8") == "BACKUP_S3_SECRET_ACCESS_KEY=mine\n"
    assert str(alarm.readlink()) == "/nowhere"
    assert f"kept, it is yours: {config}" in done.stdout
    service = unit(tmp_path / UNITS / "streamhub-backup.service")
    assert service["Service"]["ExecStart"].startswith("/usr/bin/new ")


def test_kept_environment_that_says_otherwise_is_told_and_shows_no_value(tmp_path: Path) -> None:
    """Else an operator who names a recipient would believe that backups are encrypted."""
    write(tmp_path, "--program", PROGRAM)
    key = str(pyrage.x25519.Identity.generate().to_public())
    options = ("--recipient", key, "--alarm-url", "https://tell.me/canary", "--program", PROGRAM)
    done = write(tmp_path, *options, data_dir="/data")
    config = tmp_path / "etc/streamhub/backup.env"
    for name in ("DATA_DIR", "BACKUP_AGE_RECIPIENTS", "ALARM_URL"):
        assert f"warning: {config} is kept, and its {name} is not the one given here" in done.stderr
    assert write(tmp_path, "-q", *options, data_dir="/data").stderr == ""
    assert "BACKUP_LOCAL_DIR" not in done.stderr
    assert key not in done.stderr
    assert "canary" not in done.stderr
    config.unlink()
    for _ in range(2):
        done = write(tmp_path, *options, data_dir="/data")
        assert done.stderr == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--backup-dir", "/var/back ups"),
        ("--backup-dir", "/var/%h"),
        ("--program", "/opt/a\nExecStart=/bin/sh"),
        ("--user", "Root Beer"),
        ("--recipient", "age1nothing"),
        ("--alarm-url", "https://a\nDATA_DIR=/"),
        ("--recipient", "x\nDATA_DIR=/"),
        ("--recipient", f"{SSH_KEY} me\nDATA_DIR=/"),
        ("--recipient", f"{SSH_KEY} me,you"),
    ],
)
def test_what_a_unit_file_would_read_otherwise_is_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = run_in_process("--data-dir", "/srv/streamhub", "packaging", tmp_path, *options)
    assert done.status in {2, 3}, done
    assert options[0] in done.stderr.replace("BACKUP_AGE_RECIPIENTS", "--recipient")
    assert not list(tmp_path.iterdir())


def test_the_installation_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_DIR", raising=False)
    done = run_in_process("packaging", tmp_path)
    assert done.status == 2
    assert "--data-dir or DATA_DIR" in done.stderr
    assert not list(tmp_path.iterdir())


def test_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr").write_text("")
    done = run_in_process("--data-dir", "/srv/streamhub", "packaging", tmp_path)
    assert done.status == 3, done
    assert f"{tmp_path}/usr/local/lib" in done.stderr


def test_program_that_no_service_could_run_is_told(tmp_path: Path) -> None:
    """The suite's own lies in somebody's home or in /tmp; no service sees either."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    done = run_in_process("--data-dir", "/srv/streamhub", "packaging", hidden)
    assert done.status == 0
    interpreter = Path(sys.executable).resolve()
    closed = [it for it in interpreter.parents if not it.stat().st_mode & 1]
    assert all(f"{it} is closed to the user streamhub" in done.stderr for it in closed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes the owner")
def test_root_writes_for_the_owner_of_the_installation(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)  # pytest closes them to others
    data_dir = tmp_path / "data_dir"
    assert run_in_process("--data-dir", data_dir, "init").status == 0
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, 1, 1)
    program = Path(sys.executable).parent / "streamhub-db"
    root = tmp_path / "system"
    done = subprocess.run(
        [program, "--data-dir", data_dir, "packaging", root],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done
    service = unit(root / UNITS / "streamhub-backup.service")["Service"]
    assert (service["User"], service["Group"]) == ("daemon", "daemon")
    assert {path.stat().st_uid for path in root.rglob("*")} == {0}
    assert service["ExecStart"].startswith(f"{program.resolve()} ")


def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("no systemd-analyze on this machine")
    return found


def test_systemd_takes_the_units(root: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds unknown settings, wrong times and programs that lack."""
    paths = []
    for source in (root / UNITS).iterdir():
        path = tmp_path / source.name.replace("@.", "@x.")
        text = source.read_text("utf-8").replace(PROGRAM, "/usr/bin/env")
        path.write_text(text.replace("/etc/streamhub/alarm", "/usr/bin/env"), "utf-8")
        paths.append(path)
    done = subprocess.run(
        [analyze(), "verify", "--recursive-errors=no", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "streamhub-" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_systemd_rates_the_services_as_safe(root: Path) -> None:
    done = subprocess.run(
        [analyze(), "security", "--offline=true", "--no-pager", *services(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"exposure level for (\S+): ([0-9.]+)", done.stdout)
    assert len(found) == len(services(root)), done
    assert [it for it in found if float(it[1]) >= SAFE] == []


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd")
def test_systemd_makes_the_user_and_the_folder(root: Path, tmp_path: Path) -> None:
    for folder in ("etc", "var/backups", "usr/local"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(root / "usr", tmp_path / "usr", dirs_exist_ok=True)
    for program, *arguments in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
        done = subprocess.run(
            [program, *arguments, f"--root={tmp_path}"], capture_output=True, text=True, check=False
        )
        assert "streamhub-orm.conf" not in done.stderr, done
    assert "\nstreamhub:x:" in "\n" + (tmp_path / "etc/passwd").read_text("utf-8")
    if os.geteuid() == 0:
        assert (tmp_path / "var/backups/streamhub").stat().st_mode & 0o777 == 0o700


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    posted: Final[list[str]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.posted.append(self.rfile.read(length).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_alarm_tells_the_journal_and_the_url(root: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/topic"
        done = subprocess.run(
            [root / "etc/streamhub/alarm", "streamhub-backup"],
            env={"PATH": os.environ["PATH"], "ALARM_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
        thread.join()
    assert (done.returncode, done.stderr) == (0, "")
    line = done.stdout.removesuffix("\n")
    assert line.startswith("<1>streamhub-backup has failed on ")
    assert line.endswith("journalctl -u streamhub-backup")
    assert Receiver.posted == [line.removeprefix("<1>")]


def test_each_command_has_a_man_page_with_its_options(root: Path) -> None:
    folder = root / "usr/local/share/man/man1"
    for name in COMMANDS:
        page = (folder / f"streamhub-db-{name.replace(' ', '-')}.1").read_text("utf-8")
        assert page.startswith(".TH ")
        assert r"\-\-data\-dir" in page
    for command in COMMANDS:
        above = (folder / f"streamhub-db-{'-'.join(command.split()[:-1])}".rstrip("-")).name
        escaped = f"streamhub-db-{command.replace(' ', '-')}".replace("-", r"\-")
        assert f".BR {escaped} (1)" in (folder / f"{above}.1").read_text("utf-8")


def test_man_shows_what_troff_would_take_for_its_own(tmp_path: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("no man on this machine")
    text = r"""First 'quoted' `code` ^~ "d" a\fBc -x é….

    .SH no request
    'no request either"""
    ((_, page),) = man_pages(click.Command("it", help=text), "it")
    path = tmp_path / "it.1"
    path.write_text(page, "utf-8")
    shown = formatted(path)
    assert r"""First 'quoted' `code` ^~ "d" a\fBc -x é….""" in shown
    assert ".SH no request 'no request either" in shown


def formatted(page: Path) -> str:
    done = subprocess.run(
        ["man", "--warnings", "-P", "cat", "-l", page],
        env={"PATH": os.environ["PATH"], "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_groff_has_no_complaint_about_any_page(root: Path) -> None:
    pages = sorted((root / "usr/local/share/man/man1").iterdir())
    assert len(pages) == len(list(man_pages(cli, "streamhub-db")))
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *pages],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
def test_mandoc_has_no_complaint_about_any_page(root: Path) -> None:
    pages = sorted((root / "usr/local/share/man/man1").iterdir())
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_completions_lie_where_each_shell_looks(root: Path) -> None:
    shared = root / "usr/local/share"
    script = shared / "bash-completion/completions/streamhub-db"
    words = f"source {shlex.quote(str(script))} && complete -p streamhub-db"
    found = subprocess.run(
        ["bash", "--norc", "-c", words], capture_output=True, text=True, check=True
    )
    assert "streamhub-db" in found.stdout
    lines = (shared / "zsh/site-functions/_streamhub-db").read_text("utf-8").splitlines()
    assert lines[0] == "#compdef streamhub-db"
    fish = (shared / "fish/vendor_completions.d/streamhub-db.fish").read_text("utf-8")
    assert "complete --no-files --command streamhub-db" in fish
