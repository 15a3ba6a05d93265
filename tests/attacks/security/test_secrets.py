"""A canary in every column that holds a secret: no output, log, error or backup's name shows it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import IngressAuth, RestreamTarget
from streamhub_orm.global_db import ApiToken, User
from streamhub_orm.migrations.worlds import APP
from tests.support.faults.fork_server import verbose
from tests.support.installations import Options, build_installation
from tests.support.installations.commands import run_alembic, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faults.fork_server import Ended, ForkServer
    from tests.support.installations import Installation
    from tests.support.installations.commands import Outcome

CANARY: Final = "c4n4ry"
COLUMNS: Final = {
    "api_tokens": ("token_hash",),
    "ingress_auth": ("stream_key", "password_hash", "password_salt"),
    "users": ("password_hash", "totp_secret", "totp_pending_secret"),
    "sessions": ("id",),
    "magic_tokens": ("token_hash",),
    "restream_targets": ("url",),
    "app_plugins": ("config_json",),
}


@pytest.fixture
def found(tmp_path: Path) -> Installation:
    """An installation with its own canary in each row of each such column, and in secrets.json."""
    built = build_installation(
        tmp_path / "data", era="node_head", apps=2, rows=6, options=Options(killed_writers=False)
    )
    for path in built.data_dir.rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection, connection:
            for table, columns in COLUMNS.items():
                known = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                for column in set(columns).intersection(known):
                    connection.execute(
                        f"UPDATE {table} SET {column} = '{CANARY} ' || ? || rowid", (column,)
                    )
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if "app_plugins" in tables:
                connection.execute(
                    "INSERT OR REPLACE INTO app_plugins (plugin_id, config_json) VALUES ('p', ?)",
                    (CANARY,),
                )
    (built.data_dir / "data" / "secrets.json").write_text(json.dumps({"S3_SECRET": CANARY}))
    return built


def test_canaries_are_where_the_secrets_are(found: Installation) -> None:
    """The tests below would find nothing in empty files."""
    held = b"".join(path.read_bytes() for path in found.data_dir.rglob("*.db"))
    for column in ("token_hash", "stream_key", "password_hash", "totp_secret", "url"):
        assert f"{CANARY} {column}".encode() in held, column


def said(outcomes: Iterator[Outcome | Ended]) -> str:
    return "".join(outcome.stdout + outcome.stderr for outcome in outcomes)


def test_no_command_shows_a_secret(server: ForkServer, found: Installation) -> None:
    """Neither in words nor as JSON, nor with -vv, whether it succeeds, is refused, or fails."""
    live = next(iter(found.apps))

    def run() -> Iterator[Outcome | Ended]:
        for arguments in (
            ("status",),
            ("upgrade", "--dry-run"),
            ("upgrade",),
            ("check",),
            ("history",),
            ("downgrade", "g0005"),
            ("downgrade", "a0006", "--app", live),
            ("downgrade", "a0008", "--all-apps"),
            ("rollback", "--dry-run"),
            ("rollback",),
            ("upgrade", "--json"),
        ):
            yield server.run(verbose(found.data_dir, *arguments))
        for arguments in (("current",), ("check",), ("history",), ("downgrade", "base")):
            yield run_alembic("-n", "app", "-x", "app=all", *arguments, data_dir=found.data_dir)
            yield run_alembic(*arguments, data_dir=found.data_dir)

    text = said(run())
    assert APP.head in text
    assert CANARY not in text


@pytest.mark.parametrize("damage", ["structure", "page", "locked", "duplicate"])
def test_no_failure_shows_a_secret(server: ForkServer, found: Installation, damage: str) -> None:
    """The words of an error name file, table and column, and never a value."""
    path = found.app_db(next(iter(found.apps)))
    holder = sqlite3.connect(path, isolation_level=None)
    if damage == "structure":
        holder.execute("ALTER TABLE restream_targets DROP COLUMN url_masked")
    elif damage == "locked":
        holder.execute("BEGIN IMMEDIATE")
    elif damage == "duplicate":
        holder.execute(f"CREATE TRIGGER t BEFORE INSERT ON streams BEGIN SELECT '{CANARY}'; END")
        holder.execute("CREATE TABLE alembic_version (version_num TEXT)")
        holder.executemany("INSERT INTO alembic_version VALUES (?)", [(CANARY,), ("a0001",)])
        holder.execute("DELETE FROM alembic_version WHERE version_num LIKE 'c4%'")
    else:
        holder.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = path.read_bytes()
        path.write_bytes(content[:8192] + b"\xa5" * 4096 + content[12288:])

    def run() -> Iterator[Ended]:
        for arguments in (("upgrade",), ("check",), ("status",), ("upgrade", "--json")):
            yield server.run(verbose(found.data_dir, *arguments))

    text = said(run())
    holder.close()
    assert str(path) in text
    assert CANARY not in text


def test_no_exception_and_no_repr_shows_a_secret(found: Installation) -> None:
    """What a service logs of a failed write, and of a row, holds no value of such a column."""
    app = next(iter(found.apps))
    texts = []
    with Databases(found.data_dir) as databases:
        for session_of, row in (
            (databases.global_session, ApiToken(id=1, token_hash=CANARY, scope="global")),
            (databases.global_session, User(id=CANARY, email=b"", password_hash=CANARY, name=[])),
            (partial(databases.app_session, app), RestreamTarget(room="r", url=CANARY)),
            (
                partial(databases.app_session, app),
                IngressAuth(ingress_id="i", room=[], stream_key=CANARY),
            ),
        ):
            with pytest.raises(sa.exc.DBAPIError) as failed, session_of() as session:
                session.add(row)
            texts += [str(failed.value), repr(failed.value)]
            texts += [] if isinstance(row, User) else [repr(row)]
    assert len(texts) == 11
    assert [text for text in texts if CANARY in text] == []


def test_backups_of_databases_hold_nothing_of_secrets_json(found: Installation) -> None:
    """S3 keys stay in their own file."""
    secrets = found.data_dir / "data" / "secrets.json"
    secrets.write_text(json.dumps({"S3_SECRET": "in-secrets-json-alone"}))
    assert run_command("--data-dir", found.data_dir, "upgrade").status == 0
    holding = [
        it.name
        for it in found.data_dir.rglob("*")
        if it.is_file() and b"in-secrets-json-alone" in it.read_bytes()
    ]
    assert holding == ["secrets.json"]
