"""What helps who types: completion, names that are near, rehearsals, and relative steps."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.init import make_installation
from tests.support.installations.commands import (
    CHECKOUT,
    COMMAND,
    Outcome,
    run_in_process,
    run_program,
)
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return make_installation(tmp_path / "data").root


def complete(words: str, number: int, data_dir: Path) -> Outcome:
    """Ask as the script for bash does."""
    environment = {
        "_STREAMHUB_DB_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(number),
        "DATA_DIR": str(data_dir),
    }
    return run_program(COMMAND, (), cwd=CHECKOUT, environment=environment)


@pytest.mark.parametrize(("shell", "program"), [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")])
def test_completion_is_a_script_of_the_shell(shell: str, program: str) -> None:
    outcome = run_in_process("completion", shell)
    assert outcome.status == 0
    assert f"_STREAMHUB_DB_COMPLETE={shell}_complete" in outcome.stdout
    if (path := shutil.which(program)) is not None:
        subprocess.run([path, "-n"], input=outcome.stdout, text=True, check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "number", "expected"),
    [
        ("streamhub-db sta", 1, "plain,status"),
        ("streamhub-db health --app li", 3, "plain,live"),
        ("streamhub-db apps config show l", 4, "plain,live"),
        ("streamhub-db health --app x", 3, ""),
    ],
)
def test_shell_completes_commands_and_apps(
    data_dir: Path, words: str, number: int, expected: str
) -> None:
    before = fingerprint_files(data_dir)
    outcome = complete(words, number, data_dir)
    assert (outcome.stdout.strip(), outcome.stderr) == (expected, "")
    assert fingerprint_files(data_dir) == before


def test_completion_is_silent_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    outcome = complete("streamhub-db health --app l", 3, tmp_path)
    assert (outcome.stdout.strip(), outcome.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("statsu",), "'status'"),
        (("health", "--app", "liev"), "similar names: live"),
        (("downgrade", "g001"), "similar: g0014"),
    ],
)
def test_typing_error_is_answered_with_what_is_near(
    data_dir: Path, words: tuple[str, ...], near: str
) -> None:
    outcome = run_in_process("--data-dir", data_dir, *words)
    assert outcome.status in {2, 3}
    assert near in outcome.stderr


def test_downgrade_is_rehearsed_and_may_be_relative(data_dir: Path) -> None:
    before = fingerprint_files(data_dir)
    words = ("--data-dir", data_dir, "--json", "downgrade", "--all-apps")
    (would,) = run_in_process(*words, "--dry-run", "--", "-1").report["databases"]
    assert (would["from"], would["to"], would["error"]) == ("a0010", "a0009", None)
    assert fingerprint_files(data_dir) == before
    (done,) = run_in_process(*words, "--", "-1").report["databases"]
    assert (done["from"], done["to"]) == ("a0010", "a0009")
    assert done["backup"] is not None


def test_rehearsal_of_a_downgrade_refuses_what_the_real_one_would(data_dir: Path) -> None:
    before = fingerprint_files(data_dir)
    outcome = run_in_process("--data-dir", data_dir, "downgrade", "base", "--dry-run")
    assert outcome.status == 1
    assert str(data_dir / "data/streamhub.db") in outcome.stderr
    assert fingerprint_files(data_dir) == before


@pytest.mark.parametrize("options", [(), ("--purge",)], ids=" ".join)
def test_rehearsal_of_a_delete_says_what_would_go(data_dir: Path, options: tuple[str, ...]) -> None:
    run_in_process("--data-dir", data_dir, "tokens", "issue", "deploy", "--app", "live")
    before = fingerprint_files(data_dir)
    words = ["--data-dir", str(data_dir), "apps", "delete", "live", "--dry-run", *options]
    document = run_in_process(*words, "--json").report
    assert (document["dry_run"], document["tokens"]) == (True, 1)
    assert (document["bytes"] > 100_000) is bool(options)
    assert "would delete live, its tokens (1)" in run_in_process(*words).stdout
    assert fingerprint_files(data_dir) == before
    words[words.index("live")] = "lvie"
    assert "similar names: live" in run_in_process(*words).stderr
