"""Names and texts that steer a terminal, in databases and folders: shown escaped, never obeyed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamhub_orm.errors.visible import visible
from streamhub_orm.init import make_installation as init
from tests.support.installations.commands import CHECKOUT, COMMAND, run_in_process

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE: Final = (
    "\x1b[31mX\x1b]0;owned\x07\x7f\x9b2J\u202etxt.exe\u2066\u2028\u0085y\x08\rz\nforged"
)
SHOWN: Final = r"\x1b[31mX\x1b]0;owned\x07\x7f\x9b2J\u202etxt.exe\u2066\u2028\x85y\x08\rz\nforged"
IN_FOLDERS: Final = HOSTILE.replace("/", "")

COMMANDS: Final = [
    ("status",),
    ("check", "-v"),
    ("upgrade", "--jobs", "1", "-v"),
    ("upgrade", "--jobs", "1", "-vv"),
    ("upgrade", "--dry-run", "--jobs", "1"),
    ("upgrade", "--app", HOSTILE),
    ("health", "-v"),
    ("sizes",),
    ("optimize",),
    ("apps", "list"),
    ("apps", "create", "live"),
    ("tokens", "list"),
    ("nodes", "list"),
    ("logs", "list"),
    ("logs", "list", "--app", HOSTILE),
    ("purge", "live", "--scope", "vods", "--yes"),
    ("backup", "create"),
    ("backup", "list"),
    ("backup", "verify"),
    ("backup", "prune"),
    ("backup", "undo", HOSTILE),
    ("backup", "restore", HOSTILE),
    ("downgrade", HOSTILE),
    ("split", "cleanup", "--dry-run"),
    ("rollback", "--dry-run"),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation where every text that somebody else may write is hostile."""
    place = init(tmp_path_factory.mktemp("hostile") / IN_FOLDERS)
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        for name in (HOSTILE, f"2{HOSTILE}"):
            connection.execute(
                "INSERT INTO apps (name, display_name, tenant_id) VALUES (?, ?, ?)",
                (name, HOSTILE, "platform"),
            )
        connection.execute("UPDATE apps SET display_name = ? WHERE name = 'live'", (HOSTILE,))
        connection.execute(
            "INSERT INTO nodes (id, name, url, region, status) VALUES (?, ?, ?, ?, 'online')",
            (HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        )
        connection.execute(
            "INSERT INTO api_tokens (name, token_hash, scope) VALUES (?, 'x', 'global')",
            (HOSTILE,),
        )
        connection.execute(
            "INSERT INTO server_logs (ts, level, source, message, app_id) VALUES (?, ?, ?, ?, ?)",
            ("2026-01-01T00:00:00.000Z", HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        )
        connection.execute(f'CREATE TABLE "{HOSTILE}" (x)')
        connection.execute(
            f'CREATE TRIGGER "t{HOSTILE}" AFTER INSERT ON "{HOSTILE}" BEGIN SELECT 1; END'
        )
    with closing(sqlite3.connect(place.app_db("live"))) as connection, connection:
        connection.execute(f'CREATE TABLE "{HOSTILE}" (x)')
        connection.execute(
            f'CREATE TRIGGER "t{HOSTILE}" AFTER INSERT ON "{HOSTILE}" BEGIN SELECT 1; END'
        )
        # Its objects cannot be deleted, as there is no store: the recording stays, and is named.
        connection.execute(
            "INSERT INTO vods (app_id, name, status, file_key, s3_url) "
            "VALUES (1, ?, 'ready', ?, ?)",
            (HOSTILE, HOSTILE, HOSTILE),
        )
    folder = place.root / "apps" / HOSTILE
    folder.mkdir()
    shutil.copy(place.app_db("live"), folder / "app.db")
    return place.root


@pytest.fixture
def installation(hostile: Path, tmp_path: Path) -> Path:
    """A copy for a test."""
    copy = tmp_path / IN_FOLDERS
    shutil.copytree(hostile, copy)
    return copy


def steering(text: str) -> set[str]:
    """Return what no command may print by itself."""
    controls = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"}}
    return controls - {"\n", "\t"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: " ".join(it)[:20])
def test_piped_output_is_escaped(installation: Path, command: tuple[str, ...]) -> None:
    """Neither on stdout nor on stderr a control character or a line that is not ours."""
    done = run(installation, *command)
    for text in (done.stdout.decode(), done.stderr.decode()):
        assert steering(text) == set(), text
        assert not [line for line in text.split("\n") if line.startswith("forged")], text
        assert "report it" not in text, text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: " ".join(it)[:20])
def test_json_is_one_document_without_a_raw_control_character(
    installation: Path, command: tuple[str, ...]
) -> None:
    """It is escaped as JSON does it, so that whoever reads it gets the text itself."""
    done = run_in_process(f"--data-dir={installation}", "--json", *command)
    assert steering(done.stdout) == set()
    json.loads(done.stdout)
    assert steering(done.stderr) == set()


@pytest.mark.parametrize("command", [("status",), ("apps", "list"), ("logs", "list"), ("check",)])
def test_terminal_gets_no_sequence_of_a_name(installation: Path, command: tuple[str, ...]) -> None:
    """A table on a terminal has sequences of its own, switched off here, and no other."""
    master, terminal = os.openpty()
    try:
        run(installation, *command, stdout=terminal)
    finally:
        os.close(terminal)
    with os.fdopen(master, "rb") as shown:
        text = shown.read1(1 << 20).decode().replace("\r\n", "\n")
    assert steering(text) == set()


def test_names_are_shown_in_their_escaped_form(installation: Path) -> None:
    """So that a person sees which row it is."""
    assert SHOWN in run(installation, "apps", "list").stdout.decode()
    assert SHOWN in run(installation, "logs", "list").stdout.decode()
    assert SHOWN in run(installation, "nodes", "list").stdout.decode()
    apps = json.loads(run(installation, "--json", "apps", "list").stdout)["apps"]
    assert HOSTILE in [app["display_name"] for app in apps]


def test_name_of_a_folder_that_is_no_utf8_is_shown(installation: Path) -> None:
    """A surrogate stands for each such byte in Python, and cannot be written."""
    folder = os.fsencode(installation / "apps") + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 - its name is bytes
    shutil.copy(os.fsencode(installation / "apps" / "live" / "app.db"), folder + b"/app.db")
    done = run(installation, "upgrade", "--jobs", "1")
    assert rb"caf\udce9" in done.stdout, done
    found = json.loads(run(installation, "--json", "upgrade", "--jobs", "1").stdout)
    assert "caf\udce9" in found["unregistered"]


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_output_of_any_encoding_holds_every_name(installation: Path, encoding: str) -> None:
    """Where the output is no UTF-8, what it cannot hold is written by numbers."""
    with closing(sqlite3.connect(installation / "data" / "streamhub.db")) as connection, connection:
        connection.execute("UPDATE apps SET display_name = 'Ü 日本' WHERE name = 'live'")
    assert run(installation, "apps", "list", PYTHONIOENCODING=encoding).returncode == 0
    done = run(installation, "--json", "apps", "list", PYTHONIOENCODING=encoding)
    names = [app["display_name"] for app in json.loads(done.stdout.decode(encoding))["apps"]]
    assert "Ü 日本" in names


def test_visible_text_keeps_what_moves_nothing() -> None:
    """Letters of any script, emoji and blanks stay, and so does what is visible already."""
    plain = "Ü 日本 👨\u200d👩\u200d👧 \u0645\u200c\u062e a\xa0b C:\\new"
    assert visible(plain) == plain
    assert visible(HOSTILE) == SHOWN == visible(SHOWN)


def run(data_dir: Path, *arguments: str, stdout: Any = subprocess.PIPE, **environment: str) -> Any:  # noqa: ANN401
    """Run the command, with its bytes as they are."""
    return subprocess.run(
        [*COMMAND, f"--data-dir={data_dir}", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1", **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
