"""What every refusal must look like, and how the installations for it are spoiled."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from tests.support.installations.accounting import REPORT_KEYS, assert_accounted
from tests.support.installations.commands import run_command
from tests.support.installations.facts import SPLIT_DONE
from tests.support.installations.snapshot import (
    fingerprint_files,
    list_changes,
    load_database,
    load_snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.installations import Installation
    from tests.support.installations.commands import Outcome

# What a message says after the file: what was found, what was expected, and what to do.
ADVICE = re.compile(
    r"\b(restore|run|wait|pass|use|install|free|check|move|make|name|rename|put|stop|undo|correct"
    r"|find out|remove|upgrade)\b",
    re.IGNORECASE,
)


def assert_refused(
    data_dir: Path, *, names: Path, found: str, prefix: Sequence[str] = ()
) -> Outcome:
    """Run an upgrade that must be refused as a whole, with status 3 and nothing touched."""
    before = fingerprint_files(data_dir)

    outcome = run_command("--data-dir", data_dir, "--json", "upgrade", prefix=prefix)

    changes = list_changes(before, fingerprint_files(data_dir))
    assert not changes, (changes, outcome)
    assert outcome.status == 3, outcome
    report = outcome.report
    assert set(report) == REPORT_KEYS
    assert (report["ok"], report["apps"], report["data_dir"]) == (False, [], str(data_dir))
    assert_explained(report["error"], names=names, found=found)
    assert_explained(outcome.stderr, names=names, found=found)
    return outcome


def assert_app_refused(
    installation: Installation,
    app: str,
    *,
    names: Path | str,
    found: str,
    prefix: Sequence[str] = (),
) -> Outcome:
    """Run an upgrade that must name one app as failed and bring all others to head."""
    data_dir = installation.data_dir
    mine = f"apps/{app}/"
    before = {k: v for k, v in fingerprint_files(data_dir).items() if k.startswith(mine)}

    outcome = run_command("--data-dir", data_dir, "--json", "upgrade", prefix=prefix)

    after = {k: v for k, v in fingerprint_files(data_dir).items() if k.startswith(mine)}
    changes = [it for it in list_changes(before, after) if ".db.bak-" not in it]
    assert not changes, (changes, outcome)
    assert outcome.status == 1, outcome
    report = outcome.report
    assert set(report) == REPORT_KEYS
    assert (report["ok"], report["failed"]) == (False, 1)
    errors = {it["app"]: it["error"] for it in report["apps"]}
    assert [name for name, error in errors.items() if error] == [app], errors
    assert_explained(errors[app], names=names, found=found)
    assert_explained(outcome.stderr, names=names, found=found)
    heads = {it["to"] for it in report["apps"] if it["app"] != app}
    assert len(heads) == 1
    assert None not in heads
    registry = load_database(installation.global_path)
    assert registry is not None
    assert registry.meta().get(SPLIT_DONE) is None
    return outcome


def assert_next_run_takes_up_what_is_left(
    installation: Installation, before: Installation, app: str
) -> None:
    """Once the app is cured, the next run imports it alone, and every row is accounted for."""
    outcome = run_command("--data-dir", installation.data_dir, "--json", "upgrade")

    assert outcome.status == 0, outcome
    changed = [it["app"] for it in outcome.report["apps"] if it["from"] != it["to"]]
    assert changed == [app], outcome
    assert_accounted(load_snapshot(before.data_dir), load_snapshot(installation.data_dir))


def assert_explained(text: str, *, names: Path | str, found: str) -> None:
    """Fail unless a message names the file, what was found, what was expected, what to do."""
    assert str(names) in text, text
    assert re.search(found, text, re.IGNORECASE), text
    assert re.search("expected", text, re.IGNORECASE), text
    advice = re.split("expected", text, flags=re.IGNORECASE)[-1]
    assert ADVICE.search(advice), text
    assert "Traceback" not in text, text


@contextmanager
def held_write_lock(path: Path) -> Iterator[None]:
    """Let another process hold a database's write lock."""
    program = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield
        finally:
            child.kill()


def execute(path: Path, script: str) -> None:
    """Change a database by SQL, and leave no -wal behind."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def corrupt_pages(path: Path) -> None:
    """Overwrite the pages after the first, so that the header still looks right."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * min(12 * 4096, path.stat().st_size - 4096))


def make_newer_by_user_version(path: Path) -> None:
    """Count one step more than the Node core ever had."""
    execute(path, "PRAGMA user_version = 9")


def make_newer_by_revision(path: Path) -> None:
    """Stamp a revision that this release does not know."""
    execute(
        path,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('z9999')",
    )


def replace_by_text(path: Path) -> None:
    """Put something else than a database in the file's place."""
    path.write_text("This is no database.\n" * 500, encoding="utf-8")
