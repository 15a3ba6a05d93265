"""No name, link or recorded path leads out of the installation, and no secret comes out of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.app_db import RestreamTarget
from streamhub_orm.global_db import ApiToken, User
from streamhub_orm.init import make_installation
from streamhub_orm.migrations.worlds import GLOBAL
from tests.support.faults.fork_server import verbose
from tests.support.installations import Options
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.faults.fork_server import ForkServer
    from tests.support.installations import Installation

NO_WAL = Options(killed_writers=False)
OWN_KEY = "streamhub_orm_split_backup"


@pytest.fixture
def monolith(make_installation: MakeInstallation) -> Installation:
    return make_installation("monolith", options=NO_WAL)


def execute(path: Path, sql: str, *parameters: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql, parameters)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "..", "ev\x00il", "évil", "evil\n", "e" * 33]
)
def test_hostile_registry_name_reaches_no_path(monolith: Installation, name: str) -> None:
    """The app is refused by name, and no file is made anywhere but for the others."""
    execute(monolith.global_path, "INSERT INTO apps (name) VALUES (?)", name)
    outcome = run_in_process("--data-dir", monolith.data_dir, "--json", "upgrade")
    assert outcome.status == 1, outcome
    assert [app["app"] for app in outcome.report["apps"] if app["error"]] == [name]
    around = {path.name for path in monolith.data_dir.parent.rglob("*") if "evil" in path.name}
    assert around == set()


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_link_out_of_the_app_is_refused_and_its_target_untouched(
    monolith: Installation, tmp_path: Path, linked: str
) -> None:
    """What lies behind the link is neither read into an app nor written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    execute(outside / "app.db", "CREATE TABLE precious (id INTEGER)")
    app = next(iter(monolith.apps))
    folder = monolith.app_db(app).parent
    if linked == "folder":
        if folder.exists():
            folder.rename(tmp_path / "away")
        folder.parent.mkdir(exist_ok=True)
        folder.symlink_to(outside)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "app.db").symlink_to(outside / "app.db")
    before = fingerprint_files(outside)
    outcome = run_in_process("--data-dir", monolith.data_dir, "--json", "upgrade")
    assert outcome.status == 1, outcome
    assert [it["app"] for it in outcome.report["apps"] if it["error"]] == [app]
    assert fingerprint_files(outside) == before


@pytest.mark.parametrize("name", ["elsewhere.db", "streamhub.db.bak-elsewhere"])
def test_recorded_backup_elsewhere_is_never_put_in_place(
    monolith: Installation, tmp_path: Path, name: str
) -> None:
    """Only a file of that name beside the database would do, and there is none."""
    assert run_in_process("--data-dir", monolith.data_dir, "upgrade").status == 0
    elsewhere = tmp_path / name
    execute(elsewhere, "CREATE TABLE apps (id INTEGER PRIMARY KEY, name TEXT)")
    execute(
        monolith.global_path,
        "UPDATE _streamhub_meta SET value = ? WHERE key = ?",
        str(elsewhere),
        OWN_KEY,
    )
    before = fingerprint_files(monolith.data_dir)
    outcome = run_in_process("--data-dir", monolith.data_dir, "rollback")
    assert outcome.status == 3, outcome
    assert fingerprint_files(monolith.data_dir) == before


@pytest.mark.parametrize("kind", ["link", "folder", "app database"])
def test_rollback_to_what_is_no_global_backup_is_refused(
    monolith: Installation, tmp_path: Path, kind: str
) -> None:
    """A link, a folder or another database never becomes the global database."""
    assert run_in_process("--data-dir", monolith.data_dir, "upgrade").status == 0
    [backup] = monolith.global_path.parent.glob("streamhub.db.bak-*")
    to = tmp_path / "to"
    if kind == "link":
        to.symlink_to(backup)
    elif kind == "folder":
        to.mkdir()
    else:
        to = monolith.app_db(next(iter(monolith.apps)))
    before = fingerprint_files(monolith.data_dir)
    outcome = run_in_process("--data-dir", monolith.data_dir, "rollback", "--to", to)
    assert outcome.status == 3, outcome
    assert fingerprint_files(monolith.data_dir) == before


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_created_files_are_as_private_as_they_must_be(tmp_path: Path, umask: int) -> None:
    """The umask says who enters folders; databases, copies and lock are private whatever it is."""
    before = os.umask(umask)
    try:
        place = make_installation(tmp_path / "installation")
        place.global_db.chmod(0o640)
        execute(place.global_db, "INSERT INTO apps (name) VALUES ('second')")
        data_dir = place.root
        assert run_in_process("--data-dir", data_dir, "upgrade").status == 0
        assert run_in_process("--data-dir", data_dir, "downgrade", "g0013").status == 0
    finally:
        os.umask(before)
    folders = {mode_of(it) for it in (place.root, place.global_db.parent, place.apps)}
    assert folders == {0o777 & ~umask}
    assert mode_of(place.app_db("live")) == 0o600
    assert mode_of(place.app_db("second")) == 0o640
    assert mode_of(place.lock_path) == 0o600
    [backup] = place.global_db.parent.glob("streamhub.db.bak-*")
    assert mode_of(backup) == 0o600


SECRETS = {
    "token": "0f" * 32,
    "password": "scrypt$32768$8$1$abad1dea$c0ffee",
    "totp": "JBSWY3DPEHPK3PXP",
    "restream": "rtmp://live.example/app/k3y-0f-th3-str3am",
    "s3": "wJalrXUtnFEMIK7MDENGbPxRfiCY",
}


def test_no_secret_is_in_any_output(server: ForkServer, tmp_path: Path) -> None:
    """Not even with -vv, in JSON, in an error's words or in the repr of a row."""
    place = make_installation(tmp_path / "installation")
    (place.global_db.parent / "secrets.json").write_text(f'{{"S3_KEY": "{SECRETS["s3"]}"}}')
    execute(
        place.global_db,
        "INSERT INTO api_tokens (name, token_hash, scope) VALUES ('t', ?, 'global')",
        SECRETS["token"],
    )
    execute(
        place.global_db,
        "INSERT INTO users (id, password_hash, totp_secret) VALUES ('u', ?, ?)",
        SECRETS["password"],
        SECRETS["totp"],
    )
    execute(
        place.app_db("live"),
        "INSERT INTO restream_targets (app, room, url, url_masked) VALUES ('live', 'r', ?, 'm')",
        SECRETS["restream"],
    )
    said = ""
    for command in (
        ("downgrade", "g0005"),  # refused, since it would drop rows
        ("downgrade", "g0013"),
        ("downgrade", "a0005", "--all-apps"),  # refused too
        ("downgrade", "a0008", "--all-apps"),
        ("upgrade", "--dry-run"),
        ("upgrade",),
        ("status",),
        ("check",),
    ):
        outcome = server.run(verbose(place.root, "--json", *command))
        said += outcome.stdout + outcome.stderr
    said += repr(ApiToken(name="t", token_hash=SECRETS["token"]))
    said += repr(User(id="u", password_hash=SECRETS["password"], totp_secret=SECRETS["totp"]))
    said += repr(RestreamTarget(app="live", room="r", url=SECRETS["restream"], url_masked="m"))
    assert GLOBAL.head in said
    assert [name for name, secret in SECRETS.items() if secret in said] == []
