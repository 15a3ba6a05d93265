"""An installation in a folder of any name: nothing in it is read as SQL, URI, option or pattern."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.app_db import Stream
from tests.support.installations import Options, build_installation
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import run_alembic_in_process, run_command, run_in_process
from tests.support.installations.snapshot import load_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.installations import Installation

FOLDERS: Final = [
    "with blanks  in it",
    "it's",
    'say "data"',
    "what?mode=ro",
    "number#1",
    "50%25 off%",
    "semi;colon & co",
    "[a-z]*",
    "ü 🎥 日本",
    "new\nline",
    "back\\slash",
    "-q",
    "{brace} $HOME `id`",
]


@pytest.fixture(params=FOLDERS)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    """A monolith whose rows lie partly in files that attach only by their path."""
    return build_installation(
        tmp_path / str(request.param), era="vods_db", apps=2, rows=8, options=Options()
    )


def test_upgrade_in_a_folder_of_any_name_does_all_its_work_there(
    found: Installation, tmp_path: Path
) -> None:
    """Rehearsal, upgrade, look, rollback and upgrade again, with every row accounted for."""
    before = load_snapshot(found.data_dir)
    option = f"--data-dir={found.data_dir}"

    for command in (("upgrade", "--dry-run"), ("upgrade",), ("status",), ("check",)):
        outcome = run_in_process(option, "--json", *command)
        assert outcome.status == 0, outcome
        assert outcome.report.get("data_dir", str(found.data_dir)) == str(found.data_dir)
    assert_accounted(before, load_snapshot(found.data_dir))
    done = run_in_process(option, "--json", "rollback")
    assert done.status == 0, done
    assert run_in_process(option, "rollback", f"--to={done.report['set_aside']}").status == 0
    assert_accounted(before, load_snapshot(found.data_dir))
    assert [it.name for it in tmp_path.iterdir()] == [found.data_dir.name]


def test_alembic_in_a_folder_of_any_name_finds_it(found: Installation) -> None:
    """By `-x data_dir=`, for both environments."""
    before = load_snapshot(found.data_dir)
    option = ("-x", f"data_dir={found.data_dir}")
    for arguments in ((*option, "upgrade", "head"), ("-n", "app", *option, "-x", "app=all")):
        rest = () if "upgrade" in arguments else ("upgrade", "head")
        outcome = run_alembic_in_process(*arguments, *rest)
        assert outcome.status == 0, outcome
    assert_accounted(before, load_snapshot(found.data_dir), split_done=False)


def test_databases_in_a_folder_of_any_name_opens_its_apps(found: Installation) -> None:
    """Sessions write where the path says."""
    app = next(iter(found.apps))
    with Databases(found.data_dir) as databases:
        with databases.app_session(app) as session:
            session.add(Stream(app_id=1, stream_id="new", type="webrtc"))
        with databases.global_session(read_only=True):
            pass
    own = load_snapshot(found.data_dir).app_dbs[app]
    assert "new" in {row["stream_id"] for row in own.rows("streams")}


def test_folder_of_no_text_is_refused_in_words(tmp_path: Path) -> None:
    """A name that is no UTF-8 cannot be handed to SQLite as text, nor printed as JSON."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(folder)  # noqa: PTH102 - the name is what matters
    for command in ("init", "upgrade", "status"):
        outcome = run_command("--data-dir", folder, "--json", command)
        assert outcome.status == 3, outcome
        assert "caf\\xe9" in outcome.stderr
        assert outcome.report["ok"] is False
        assert "Traceback" not in outcome.stderr
