"""Rows that PostgreSQL cannot hold are named by table and key, without their values."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import UnheldRowsError
from streamhub_orm.promotion.promote import promote
from tests.promotion.contents import bytes_of, insert, read_all

if TYPE_CHECKING:
    from tests.promotion.conftest import Sides

_DEEP: Final = "[" * 100_000 + "]" * 100_000
UNHELD: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any], str, str]]] = {
    "nul": (
        "server_logs",
        {"id": 70, "level": "info", "message": "secret\0value"},
        {"id": 70},
        "message",
        "text with a NUL in it",
    ),
    "blob": (
        "server_logs",
        {"id": 70, "level": b"secret", "message": ""},
        {"id": 70},
        "level",
        "a BLOB instead of text",
    ),
    "time": (
        "server_logs",
        {"id": 70, "ts": "2026-02-30 12:00:00", "level": "", "message": ""},
        {"id": 70},
        "ts",
        "no time",
    ),
    "time as a number": (
        "ip_rules",
        {"id": 8, "cidr": "", "action": "allow", "created_at": b"2026"},
        {"id": 8},
        "created_at",
        "a BLOB instead of a time",
    ),
    "json": (
        "apps",
        {"id": 70, "name": "tv-70", "settings_json": "{secret}"},
        {"id": 70},
        "settings_json",
        "malformed JSON",
    ),
    "empty json": (
        "nodes",
        {"rowid": 70, "id": "n", "stats_json": ""},
        {"rowid": 70, "id": "n"},
        "stats_json",
        "malformed JSON",
    ),
    "deep json": (
        "nodes",
        {"rowid": 70, "id": "n", "stats_json": _DEEP},
        {"rowid": 70, "id": "n"},
        "stats_json",
        "JSON of too many levels",
    ),
    "nul in json": (
        "apps",
        {"id": 70, "name": "tv-70", "settings_json": '{"a": "secret \\\\\\u0000"}'},
        {"id": 70},
        "settings_json",
        "JSON with an escaped NUL in it",
    ),
    "half a pair in json": (
        "apps",
        {"id": 70, "name": "tv-70", "settings_json": '{"a": "\\ud83c secret"}'},
        {"id": 70},
        "settings_json",
        "JSON with half a surrogate pair in it",
    ),
    "no number in json": (
        "apps",
        {"id": 70, "name": "tv-70", "settings_json": "[NaN]"},
        {"id": 70},
        "settings_json",
        "JSON with NaN or Infinity in it",
    ),
    "great number in json": (
        "apps",
        {"id": 70, "name": "tv-70", "settings_json": "[1e999999999]"},
        {"id": 70},
        "settings_json",
        "JSON with a number of too many digits",
    ),
    "number beyond the range": (
        "quotas",
        {"tenant_id": "tnt_q", "max_apps": 9.3e18},
        {"tenant_id": "tnt_q"},
        "max_apps",
        "a number with a fraction or of more than 64 bits instead of a whole number of 64 bits",
    ),
    "text as a number": (
        "ip_bans",
        {"ip": "::1", "reason": "", "first_seen": "2026-01-31 12:00:00",
         "banned_until": "2026-01-31 12:00:00", "offense_count": "many"},
        {"ip": "::1"},
        "offense_count",
        "text instead of a whole number of 64 bits",
    ),
    "flag": (
        "users",
        {"rowid": 70, "id": "usr_f", "is_superadmin": 0.5},
        {"rowid": 70, "id": "usr_f"},
        "is_superadmin",
        "a number with a fraction or of more than 64 bits instead of a flag",
    ),
    "check": (
        "api_tokens",
        {"id": 70, "name": "", "token_hash": "", "scope": "secret"},
        {"id": 70},
        "scope",
        "none of the words app, global, as a CHECK demands",
    ),
    "no key": (
        "tenants",
        {"rowid": 70, "id": None, "name": ""},
        {"rowid": 70},
        "id",
        "NULL instead of a value",
    ),
    "long key": (
        "users",
        {"rowid": 70, "id": "usr_l", "email": "é" * 1_400},
        {"rowid": 70, "id": "usr_l"},
        "email",
        "text of more than 2,600 bytes, which no index holds",
    ),
    "secret key": (
        "sessions",
        {"rowid": 70, "id": "secret", "user_id": "\0"},
        {"rowid": 70},
        "user_id",
        "text with a NUL in it",
    ),
    "dangling": (
        "api_tokens",
        {"id": 70, "name": "", "token_hash": "", "scope": "app", "app_id": 999},
        {"id": 70},
        "app_id",
        "a key that no row of apps has",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNHELD)
def test_row_is_named_and_nothing_is_touched(sides: Sides, name: str) -> None:
    table, values, key, column, reason = UNHELD[name]
    if name == "number beyond the range":
        insert(sides.file, "tenants", id="tnt_q", name="")
    insert(sides.file, table, **values)
    before = bytes_of(sides.file)
    rehearsed = promote(sides.root, sides.url, dry_run=True).to_json()
    assert not rehearsed["ok"]
    expected = {"table": table, "key": key, "column": column, "reason": reason}
    assert rehearsed["rows"] == [expected]
    with pytest.raises(UnheldRowsError) as error:
        promote(sides.root, sides.url)
    assert error.value.details == {"rows": [expected], "more": 0}
    assert error.value.exit_code == 3
    assert "secret" not in str(rehearsed) + str(error.value)
    assert bytes_of(sides.file) == before


def test_text_that_is_no_utf8_is_named(sides: Sides) -> None:
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.execute(
            "INSERT INTO server_logs (id, level, message) "
            "VALUES (70, 'info', CAST(x'736563726574ff' AS TEXT))"
        )
        connection.execute("INSERT INTO tenants (id, name) VALUES (CAST(x'ff' AS TEXT), '')")
    with pytest.raises(UnheldRowsError) as error:
        promote(sides.root, sides.url)
    tenants, logs = sorted(error.value.rows, key=lambda row: row.table, reverse=True)
    assert (tenants.column, list(tenants.key)) == ("id", ["rowid"])
    assert (logs.key, logs.column) == ({"id": 70}, "message")
    assert logs.reason == tenants.reason == "text that is no UTF-8"


def test_only_the_first_rows_of_a_table_are_named(sides: Sides) -> None:
    with closing(sqlite3.connect(sides.file)) as connection, connection:
        connection.executemany(
            "INSERT INTO server_logs (level, message, app_id) VALUES ('', ?, 999)",
            [("\0",) for _ in range(25)],
        )
        connection.execute("INSERT INTO ip_rules (cidr, action) VALUES (x'00', 'allow')")
    with pytest.raises(UnheldRowsError) as error:
        promote(sides.root, sides.url)
    tables = [row.table for row in error.value.rows]
    assert (tables.count("server_logs"), tables.count("ip_rules")) == (20, 1)
    assert error.value.more == 30


def test_what_looks_odd_and_can_be_held_is_moved(sides: Sides) -> None:
    insert(
        sides.file, "server_logs", ts="2026-01-31T23:59:59.12 Z", level="", message="",
        meta_json=' {"a":1,"a":2,"\\u0041":"\\\\u0000"} ',
    )  # fmt: skip
    insert(sides.file, "server_logs", ts="2026-01-31T23:59:59", level="", message="")
    insert(sides.file, "server_logs", ts=" 2026-01-31 23:59:59.9999999z ", level="", message="")
    insert(sides.file, "users", id="usr_m", email="x" * 2_600)
    with Databases(sides.root) as databases:
        expected = read_all(databases)
    promote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as databases:
        assert read_all(databases) == expected
