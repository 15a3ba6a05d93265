"""The command line: options in any place, one JSON document, errors in words on stderr."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from streamhub_orm import __version__
from streamhub_orm.cli import cli
from streamhub_orm.migrations.worlds import APP
from tests.support.installations.commands import CHECKOUT, COMMAND, run_command, run_in_process
from tests.support.installations.snapshot import fingerprint_files, load_snapshot

if TYPE_CHECKING:
    from tests.conftest import MakeDisk

COMMANDS = sorted(cli.list_commands(click.Context(cli)))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Return an installation that `init` made."""
    data_dir = tmp_path / "fresh"
    assert run_in_process("--data-dir", data_dir, "init").status == 0
    return data_dir


def test_commands_are_those_of_the_contract() -> None:
    """Upgrade and all around it; further groups may come."""
    promised = [
        "check",
        "demo",
        "downgrade",
        "history",
        "init",
        "revision",
        "rollback",
        "status",
        "tokens",
        "upgrade",
    ]
    assert set(promised) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_help_with_the_global_options(command: str, option: str) -> None:
    """A sentence about the command and every option explained; nothing on stderr."""
    outcome = run_in_process(command, option)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"Usage: streamhub-db {command} ")
    assert len(outcome.stdout.splitlines()[2].strip()) > 20
    for name in ("--data-dir DIR", "--json", "--quiet", "--verbose"):
        assert name in outcome.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_and_command_explains_itself(command: str) -> None:
    """No option without a help text, no command without a docstring."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_version_answers_without_loading_sqlalchemy() -> None:
    """`--version` is a matter of milliseconds: no SQLAlchemy, no Alembic, no rich."""
    script = """
import sys
from streamhub_orm.cli import main
sys.argv = ["streamhub-db", "--version"]
try:
    main()
finally:
    heavy = {"sqlalchemy", "alembic", "rich", "boto3", "yaml", "cryptography"}
    print(sorted(heavy & sys.modules.keys()))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"streamhub-db, version {__version__}", "[]"]


@pytest.mark.parametrize("command", ["status", "check"])
def test_global_options_are_taken_before_and_after_the_command(fresh: Path, command: str) -> None:
    """The place of an option changes nothing."""
    orders: list[tuple[str | Path, ...]] = [
        ("--data-dir", fresh, "--json", command),
        (command, "--data-dir", fresh, "--json"),
        ("--json", command, "--data-dir", fresh),
        ("-q", "--data-dir", fresh, command, "-v", "--json"),
    ]
    documents = [run_in_process(*order).report for order in orders]
    assert documents == [documents[0]] * len(orders)
    assert documents[0]["ok"] is True


def test_option_after_the_command_wins_over_the_one_before(fresh: Path, tmp_path: Path) -> None:
    """Said twice, the later one counts."""
    outcome = run_in_process("--data-dir", tmp_path, "status", "--data-dir", fresh, "--json")
    assert outcome.report["data_dir"] == str(fresh)


def test_data_dir_comes_from_the_environment_or_the_current_folder(fresh: Path) -> None:
    """DATA_DIR where there is no --data-dir, else the folder that the command is run in."""
    by_variable = run_command("status", "--json", environment={"DATA_DIR": str(fresh)})
    by_folder = run_command("status", "--json", cwd=fresh)
    assert by_variable.report == by_folder.report
    assert by_folder.report["data_dir"] == str(fresh)


def test_init_makes_an_installation_that_status_and_check_find_in_order(fresh: Path) -> None:
    """Nested layout, everything at head, platform tenant, app live, and nothing to upgrade."""
    found = run_in_process("--data-dir", fresh, "--json", "status").report
    assert (found["ok"], found["split_done"]) == (True, True)
    assert found["global"]["state"] == "current"
    assert [(it["app"], it["state"], it["pending_import"]) for it in found["apps"]] == [
        ("live", "current", False)
    ]
    checked = run_in_process("--data-dir", fresh, "--json", "check").report
    assert checked["ok"] is True
    assert [it["name"] for it in checked["databases"]] == ["global", "live"]
    assert not any(it["drift"] or it["extras"] for it in checked["databases"])
    registry = load_snapshot(fresh).registry
    assert [it["id"] for it in registry.rows("tenants")] == ["platform"]
    assert [it["max_apps"] for it in registry.rows("quotas")] == [100000]
    assert [it["tenant_id"] for it in registry.rows("apps")] == ["platform"]

    before = fingerprint_files(fresh)
    upgraded = run_in_process("--data-dir", fresh, "--json", "upgrade")
    assert upgraded.status == 0
    assert upgraded.report["backup"] is None
    assert fingerprint_files(fresh) == before


@pytest.mark.parametrize("kind", ["installation", "flat", "apps", "file"])
def test_init_where_something_is_is_refused_untouched(tmp_path: Path, kind: str) -> None:
    """An installation, a part of one, or a file: exit 3, the reason on stderr, nothing written."""
    data_dir = tmp_path / "there"
    if kind == "installation":
        run_in_process("--data-dir", data_dir, "init")
    elif kind == "flat":
        data_dir.mkdir()
        (data_dir / "streamhub.db").write_bytes(b"")
    elif kind == "apps":
        (data_dir / "apps" / "live").mkdir(parents=True)
        (data_dir / "apps" / "live" / "vods.db").write_bytes(b"rows")
    else:
        data_dir.write_text("mine")
    before = fingerprint_files(tmp_path)
    outcome = run_in_process("--data-dir", data_dir, "--json", "init")
    assert outcome.status == 3
    assert outcome.report["ok"] is False
    assert str(data_dir) in outcome.stderr
    assert fingerprint_files(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["notes.txt", "apps.old/live/app.db", "data/streamhub.db.bak-mine", "data/secrets.json"]
)
def test_init_in_a_folder_with_anything_else_in_it_is_refused_and_names_it(
    tmp_path: Path, name: str
) -> None:
    """The folder may be somebody's home, or an installation whose global database is lost."""
    path = tmp_path / "there" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    before = fingerprint_files(tmp_path)
    outcome = run_in_process("--data-dir", tmp_path / "there", "--json", "init")
    assert outcome.status == 3
    assert name.partition("/")[0] in outcome.report["error"]
    assert "a new or empty folder" in outcome.report["error"]
    assert fingerprint_files(tmp_path) == before


def test_init_makes_an_installation_beside_hidden_files_and_what_a_killed_init_left(
    tmp_path: Path,
) -> None:
    for name in ("data", "apps", "lost+found"):
        (tmp_path / name).mkdir()
    (tmp_path / ".env").write_text("DATA_DIR=.")
    (tmp_path / "data/.streamhub.db.0123abcd.streamhub-tmp").write_bytes(b"half")
    (tmp_path / "apps/live/recordings").mkdir(parents=True)
    (tmp_path / "apps/live/config.yaml").write_text("display_name: Mine\n")
    assert run_in_process("--data-dir", tmp_path, "init").status == 0
    assert (tmp_path / "apps/live/config.yaml").read_text() == "display_name: Mine\n"


@pytest.mark.parametrize("command", [("init",), ("demo",)])
def test_new_folder_on_a_full_disk_is_refused_in_words_and_goes_again(
    make_disk: MakeDisk, command: tuple[str, ...]
) -> None:
    disk = make_disk(40)
    target = disk / "deep" / "new"
    words = ("--data-dir", target, "init") if command == ("init",) else ("demo", target)
    outcome = run_in_process("--json", *words)
    assert outcome.status == 3, outcome
    assert str(target) in outcome.report["error"]
    assert "Free space on this file system" in outcome.report["error"]
    assert list(disk.iterdir()) == []


def test_init_whose_disk_is_full_after_the_global_database_is_no_refusal(
    make_disk: MakeDisk,
) -> None:
    """Exit status 3 would say that nothing was touched."""
    disk = make_disk(260)
    outcome = run_in_process("--data-dir", disk, "--json", "init")
    assert outcome.status == 1, outcome
    assert (disk / "data/streamhub.db").exists()
    assert "streamhub-db upgrade" in outcome.report["error"]


REFUSED = [
    ("status",),
    ("check",),
    ("upgrade",),
    ("upgrade", "--dry-run"),
    ("downgrade", "g0013"),
    ("rollback",),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refusal_is_one_json_document_and_words_on_stderr(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Exit 3; the document says the same as stderr, without a traceback; nothing is written."""
    outcome = run_in_process("--data-dir", tmp_path, "--json", *arguments)
    assert outcome.status == 3
    assert outcome.report["ok"] is False
    assert outcome.report["error"] in outcome.stderr
    assert outcome.stderr.startswith(f"Error: {tmp_path}: found neither")
    assert "Traceback" not in outcome.stderr
    assert list(tmp_path.iterdir()) == []

    plain = run_in_process("--data-dir", tmp_path, *arguments)
    assert (plain.status, plain.stdout, plain.stderr) == (3, "", outcome.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("downgrade",),
        ("upgrade", "--jobs", "0"),
        ("demo",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_with_the_reason_on_stderr(arguments: tuple[str, ...]) -> None:
    """Nothing on stdout, and the usage of the command on stderr."""
    outcome = run_in_process(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "Usage: streamhub-db" in outcome.stderr
    assert "Error: " in outcome.stderr


def test_status_and_check_of_a_damaged_app_name_it_and_are_exit_1(fresh: Path) -> None:
    """The other databases are still shown, the error is in the document and on stderr."""
    app_db = fresh / "apps" / "live" / "app.db"
    app_db.write_bytes(b"no database " * 500)
    for command, entries in (("status", "apps"), ("check", "databases")):
        outcome = run_in_process("--data-dir", fresh, "--json", command)
        assert outcome.status == 1
        assert outcome.report["ok"] is False
        assert outcome.report[entries][-1]["state"] == "broken"
        assert str(app_db) in outcome.report[entries][-1]["error"]
        assert str(app_db) in outcome.stderr


def test_check_names_drift_broken_keys_and_what_is_not_ours(fresh: Path) -> None:
    """A dropped index is drift, a row that points nowhere a fault, an own table neither."""
    path = fresh / "data" / "streamhub.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP INDEX idx_users_email; CREATE TABLE mine (id INTEGER);"
            "INSERT INTO memberships (user_id, tenant_id) VALUES ('nobody', 'platform')"
        )
    outcome = run_in_process("--data-dir", fresh, "--json", "-v", "check")
    assert outcome.status == 1
    (found, live) = outcome.report["databases"]
    assert found["drift"] == ["index idx_users_email is missing"]
    assert found["foreign_keys"] == ["memberships → users: 1 row points to nothing (1)"]
    assert found["extras"] == ["table mine"]
    assert live["ok"] is True
    assert "not ours, left alone: table mine" in outcome.stderr


def test_history_lists_both_histories_oldest_first() -> None:
    """One line or one entry per revision, with its title."""
    outcome = run_in_process("history", "--json")
    entries = outcome.report["items"]
    revisions = [it["revision"] for it in entries]
    assert revisions == sorted(revisions, key=lambda it: (it[0] == "a", it))
    assert {it["history"] for it in entries} == {"global", "app"}
    assert all(it["title"] for it in entries)
    plain = run_in_process("history").stdout.splitlines()
    assert len(plain) == len(entries) + 2
    assert plain[-1].startswith(f"{len(entries)} revisions; ")
    assert plain[1].split("\t")[:2] == ["global", "g0001"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a0008",), "Add --app NAME or --all-apps."),
        (("g0013", "--all-apps"), "Leave out --app and --all-apps"),
        (("g0013", "--app", "live"), "Leave out --app and --all-apps"),
        (("a9999", "--all-apps"), "`streamhub-db history` lists them."),
        (("nonsense",), "`streamhub-db history` lists them."),
        (("-99", "--all-apps"), "`streamhub-db history` lists them."),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else "",
)
def test_downgrade_to_a_revision_that_no_database_can_reach_is_refused_once(
    fresh: Path, arguments: tuple[str, ...], words: str
) -> None:
    """One line, however many apps there are, and exit 3, since nothing was done."""
    added = run_in_process("--data-dir", fresh, "apps", "create", "tv-2")
    assert added.status == 0, added.stderr
    before = fingerprint_files(fresh)
    revision, *options = arguments
    outcome = run_in_process("--data-dir", fresh, "--json", "downgrade", *options, "--", revision)
    assert outcome.status == 3
    assert outcome.report["ok"] is False
    assert len(outcome.stderr.splitlines()) == 1
    assert words in outcome.stderr
    assert fingerprint_files(fresh) == before


def test_verbose_shows_the_files_and_twice_verbose_their_revisions(fresh: Path) -> None:
    """What is built in memory for comparison looks like no migration of the installation."""
    app_db = fresh / "apps" / "live" / "app.db"
    upgrade = ("--data-dir", fresh, "upgrade")
    assert run_command("--data-dir", fresh, "downgrade", APP.parity, "--app", "live").status == 0
    upgraded = run_command(*upgrade, "-v")
    log = [line for line in upgraded.stderr.splitlines() if line.startswith(("INFO", "DEBUG"))]
    assert log == [f"INFO streamhub_orm.migrations.revisions: migrating {app_db}"]

    lowered = run_command("--data-dir", fresh, "-vv", "downgrade", APP.parity, "--app", "live")
    steps = [line for line in lowered.stderr.splitlines() if line.startswith("DEBUG")]
    ours = [it.revision for it in reversed(APP.history) if it.revision > APP.parity]
    assert steps == [
        f"DEBUG streamhub_orm.migrations.revisions: {app_db}: {step} -> {below}"
        for step, below in pairwise([*ours, APP.parity])
    ]
    assert " -> a0001" not in lowered.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout that revisions may be written into."""
    folder = tmp_path / "checkout"
    for name in ("streamhub_orm", "alembic", "alembic_app"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "alembic.ini", folder)
    return folder


@pytest.mark.parametrize("verbosity", [(), ("-vv",)], ids=" ".join)
def test_error_that_nobody_foresaw_is_one_json_document(
    fresh: Path, checkout: Path, verbosity: tuple[str, ...]
) -> None:
    """-vv shows the traceback too, on standard error, where it spoils no document."""
    with (checkout / "streamhub_orm/status.py").open("a") as broken:
        broken.write("\n\ndef read_status(*_, **__):\n    return 1 / 0\n")
    command = [*COMMAND, "--data-dir", str(fresh), "--json", *verbosity, "status"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    assert "ZeroDivisionError" in json.loads(done.stdout)["error"]
    assert ("Traceback" in done.stderr) is bool(verbosity)


@pytest.mark.parametrize("options", [(), ("--autogenerate",)], ids=" ".join)
def test_revision_prints_one_json_document_and_writes_the_file_it_names(
    checkout: Path, options: tuple[str, ...]
) -> None:
    """What Alembic says while it writes the file is not on stdout."""
    environment = {"PYTHONPATH": str(checkout)}
    command = ("--json", "revision", "app", "-m", "index vods", *options)
    outcome = run_command(*command, cwd=checkout, environment=environment)
    assert outcome.status == 0, outcome.stderr
    path = Path(outcome.report["path"])
    assert path.parent == checkout / "alembic_app" / "versions"
    assert path.is_file()


def test_demo_is_written_and_upgraded_by_the_command_it_names(tmp_path: Path) -> None:
    """The last line of `demo` is the command to try next, and that one succeeds."""
    outcome = run_in_process("demo", tmp_path / "demo")
    assert outcome.status == 0
    program, *arguments = outcome.stdout.splitlines()[-1].removeprefix("Now try: ").split()
    assert program == "streamhub-db"
    assert run_in_process(*arguments, "--json").report["failed"] == 0
    again = run_in_process("demo", tmp_path / "demo", "--json")
    assert (again.status, again.report["ok"]) == (3, False)
