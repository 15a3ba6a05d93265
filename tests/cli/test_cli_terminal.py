"""What a person sees on a terminal: whole names, and of a long list what is wrong."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.init import make_installation as init
from tests.support.installations import Options
from tests.support.installations.commands import CHECKOUT, COMMAND, run_in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


def on_terminal(*arguments: str | Path, columns: int) -> str:
    """Run the command with a terminal as its stdout, and return what it shows."""
    master, terminal = os.openpty()
    try:
        subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=CHECKOUT,
            env={**os.environ, "COLUMNS": str(columns), "TERM": "dumb"},
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
    finally:
        os.close(terminal)
    with os.fdopen(master, "rb") as shown:
        return shown.read1(65536).decode().replace("\r\n", "\n")


_AT_ONCE: Final = """
from streamhub_orm.cli import main, output
output._SHOWN_AFTER_SECONDS = 0
main()
"""


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("backup verify", "verifying"),
        ("split cleanup --dry-run", "looking rows up"),
        ("purge live --scope vods --yes", "recordings"),
        ("downgrade --all-apps a0009", "downgrading"),
    ],
)
def test_long_work_shows_how_far_it_is(
    make_upgraded: MakeInstallation, command: str, phase: str
) -> None:
    data_dir = make_upgraded("monolith", options=Options(orphans=False)).data_dir
    assert run_in_process("--data-dir", data_dir, "backup", "create").status == 0
    words = [sys.executable, "-c", _AT_ONCE, "--data-dir", str(data_dir), *command.split()]
    master, terminal = os.openpty()
    try:
        subprocess.run(
            words,
            cwd=CHECKOUT,
            env={**os.environ, "TERM": "xterm"},
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            check=False,
        )
    finally:
        os.close(terminal)
    with os.fdopen(master, "rb") as shown:
        text = re.sub(r"\x1b\[[\d;]*m", "", shown.read1(65536).decode())
    assert phase in text
    assert re.search(r"\d+/\d+ \d:\d\d:\d\d left ", text)


APPS = [f"channel-{number:02}" for number in range(60)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an installation of 60 apps: one is damaged, one was never made."""
    data_dir = init(tmp_path_factory.mktemp("fleet") / "data").root
    shutil.copytree(data_dir / "apps/live", data_dir / "template")
    with closing(sqlite3.connect(data_dir / "data/streamhub.db")) as connection, connection:
        names = [(name, name) for name in APPS]
        connection.executemany("INSERT INTO apps (name, display_name) VALUES (?, ?)", names)
    for name in APPS[:-1]:
        shutil.copytree(data_dir / "template", data_dir / "apps" / name)
    (data_dir / "apps/channel-07/app.db").write_bytes(b"no database " * 500)
    return data_dir


def test_path_that_is_wider_than_the_terminal_is_one_word(tmp_path: Path) -> None:
    """The name of the backup can be copied: no line break is put into it."""
    data_dir = init(tmp_path / ("long-" * 20)).root
    shown = on_terminal("--data-dir", data_dir, "downgrade", "g0013", columns=80)
    (backup,) = (data_dir / "data").glob("streamhub.db.bak-*")
    assert f"backup: {backup}" in shown.splitlines()


@pytest.mark.parametrize("command", ["status", "check", "health"])
def test_long_list_shows_what_is_wrong_and_the_totals(fleet: Path, command: str) -> None:
    shown = on_terminal("--data-dir", fleet, command, columns=80)
    assert "channel-07" in shown
    assert "channel-08" not in shown
    assert "--all lists the other " in shown
    last = shown.splitlines()[-1]
    words = {"status": "60 ok, 1 broken, 1 missing; ", "check": "60 ok, 2 wrong; "}
    assert last.startswith(f"62 databases: {words.get(command, words['check'])}")


@pytest.mark.parametrize("option", ["--all", "--limit=62", "--only=ok"])
def test_long_list_is_shown_where_it_is_asked_for(fleet: Path, option: str) -> None:
    shown = on_terminal("--data-dir", fleet, "status", option, columns=80)
    assert "channel-08" in shown
    assert ("channel-07" in shown) is (option != "--only=ok")
    assert "--all lists" not in shown


@pytest.mark.parametrize("command", [("apps", "list"), ("sizes",)])
def test_long_list_that_judges_nothing_shows_the_first(
    fleet: Path, command: tuple[str, ...]
) -> None:
    shown = on_terminal("--data-dir", fleet, *command, columns=80)
    assert "--all lists the other 11." in shown
    assert shown.splitlines()[-1].startswith("61 apps")


@pytest.mark.parametrize("command", [("status",), ("check",), ("apps", "list")])
def test_piped_list_is_whole(fleet: Path, command: tuple[str, ...]) -> None:
    piped = run_in_process("--data-dir", fleet, *command).stdout
    document = run_in_process("--data-dir", fleet, "--json", *command).report
    assert all(f"{name}\t" in piped for name in APPS)
    assert len(document.get("apps") or document["databases"]) >= len(APPS)


def test_json_lists_what_was_asked_for_and_judges_all(fleet: Path) -> None:
    arguments = ("--json", "status", "--only", "broken")
    document = run_in_process("--data-dir", fleet, *arguments).report
    assert [app["app"] for app in document["apps"]] == ["channel-07"]
    assert document["ok"] is False
    asked = ("sizes", "--sort", "name", "--limit", "2")
    document = run_in_process("--data-dir", fleet, "--json", *asked).report
    assert [app["name"] for app in document["apps"]] == ["channel-00", "channel-01"]
    assert document["total"]["db_bytes"] > 60 * 100_000


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("check",),
        ("health", "--app", "live"),
        ("sizes",),
        ("optimize", "--app", "live"),
        ("apps", "list"),
        ("history",),
        ("tokens", "list"),
        ("nodes", "list"),
        ("logs", "list"),
        ("upgrade", "--app", "live"),
        ("copies", "list"),
        ("apps", "config", "show", "live"),
    ],
    ids=" ".join,
)
def test_quiet_command_prints_nothing_but_errors(fleet: Path, command: tuple[str, ...]) -> None:
    outcome = run_in_process("--data-dir", fleet, "-q", *command)
    assert outcome.stdout == ""
    assert all(line.startswith("Error: ") for line in outcome.stderr.splitlines())


def test_names_and_values_are_a_line_each_where_the_terminal_is_narrow(fleet: Path) -> None:
    shown = on_terminal("--data-dir", fleet, "apps", "show", "live", columns=30)
    assert "app: live\nid: 1\ntenant: platform\n" in shown


def test_path_in_a_table_that_is_too_wide_is_one_word(fleet: Path) -> None:
    """Though another value of the same column has blanks."""
    shown = on_terminal("--data-dir", fleet, "apps", "show", "live", columns=40)
    assert str(fleet / "apps/live") in shown


@pytest.mark.parametrize("columns", [40, 80])
def test_no_name_is_folded(fleet: Path, columns: int) -> None:
    """At 40 columns the table is a list of records."""
    shown = on_terminal("--data-dir", fleet, "health", "--limit", "3", columns=columns)
    assert "channel-00" in shown
    assert ("database: channel-00\nstate: current\n" in shown) is (columns == 40)
    assert max(map(len, shown.splitlines())) <= 80
