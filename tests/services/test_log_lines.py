"""Log records become rows as the Node core writes them, whatever a record holds."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.services.log_lines import LONGEST_TEXT, LogTable, _level_name, line_from_record

if TYPE_CHECKING:
    from streamhub_orm import Databases

CREATED = 1_769_860_799.1239


class Unshowable:
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def record(
    msg: object = "hello", args: tuple[object, ...] = (), **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord("api.http", logging.INFO, "file.py", 1, msg, args, None)
    made.created = CREATED
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (5, "trace"),
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (25, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "fatal"),
        (99, "fatal"),
    ],
)
def test_level_is_a_word_of_node_loggers(number: int, name: str) -> None:
    assert _level_name(number) == name


def test_line_has_the_time_in_the_iso_format_and_the_loggers_name() -> None:
    line = line_from_record(record("%d of %s", (3, "five")))
    assert line == ("2026-01-31T11:59:59.123Z", "info", "api.http", None, "3 of five", None)


def test_source_is_the_extra_then_the_handlers_then_the_loggers_name() -> None:
    assert line_from_record(record(source="egress"), "api").source == "egress"
    assert line_from_record(record(), "api").source == "api"
    assert line_from_record(record()).source == "api.http"


def test_app_is_taken_from_the_extras_and_the_rest_is_meta() -> None:
    line = line_from_record(record(app="live", viewers=7, room="bühne", nested={"a": [1, None]}))
    assert line.app == "live"
    assert line.meta_json is not None
    assert json.loads(line.meta_json) == {
        "viewers": 7,
        "room": "bühne",
        "nested": {"a": [1, None]},
    }
    assert "bühne" in line.meta_json


def test_exception_is_meta_with_its_traceback() -> None:
    made = record()
    try:
        dict[str, str]()["room"]
    except KeyError:
        made.exc_info = sys.exc_info()
    line = line_from_record(made)
    assert line.meta_json is not None
    meta = json.loads(line.meta_json)
    assert meta["error"] == "KeyError: 'room'"
    assert meta["stack"].startswith("Traceback")
    assert "test_log_lines.py" in meta["stack"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (record("%d of them", ("many",)), "%d of them ('many',)"),
        (record(Unshowable()), "<Unshowable that cannot be shown> ()"),
        (record("%s", (Unshowable(),)), "%s <tuple that cannot be shown>"),
        (record("half \ud83d pair"), "half \ufffd pair"),
        (record("a\0b"), "a\ufffdb"),
        (record(42), "42"),
    ],
)
def test_message_of_any_kind_becomes_text(given: logging.LogRecord, message: str) -> None:
    assert line_from_record(given).message == message


def test_meta_that_json_cannot_hold_becomes_text() -> None:
    loop: list[object] = []
    loop.append(loop)
    made = record(ratio=float("nan"), odd={1, 2} - {2}, bad=Unshowable(), loop=loop, fine=[1])
    line = line_from_record(made)
    assert line.meta_json is not None
    assert json.loads(line.meta_json) == {
        "ratio": "nan",
        "odd": "{1}",
        "bad": "<Unshowable that cannot be shown>",
        "loop": "[[...]]",
        "fine": [1],
    }


def test_meta_with_half_a_surrogate_pair_can_be_stored() -> None:
    line = line_from_record(record(name_of="\ud83d\0"))
    assert line.meta_json == '{"name_of":"\\ud83d\\u0000"}'


def test_long_texts_are_cut_and_say_so() -> None:
    line = line_from_record(record("x" * (LONGEST_TEXT + 5), body="y" * LONGEST_TEXT))
    assert line.message.endswith("x… (5 more characters)")
    assert line.meta_json is not None
    assert list(json.loads(line.meta_json)) == ["truncated"]


def test_source_and_app_are_bounded_too() -> None:
    line = line_from_record(record("x", source="s" * 99_999, app="a" * 99_999))
    assert len(line.source) < 300
    assert line.source.startswith("sss")
    assert line.app is not None
    assert len(line.app) < 300
    named = record()
    named.name = "n" * 99_999
    assert len(line_from_record(named).source) < 300


def test_an_unknown_app_beside_all_that_json_may_hold_is_bounded(streamhub: Databases) -> None:
    table = LogTable(streamhub.place.global_db)
    line = line_from_record(record("x", app="unknown" * 999, body="y" * (LONGEST_TEXT - 20)))
    with table.opened() as connection:
        table.insert(connection, [line])
        ((stored,),) = connection.execute("SELECT meta_json FROM server_logs").fetchall()
    assert len(stored) < LONGEST_TEXT + 300
    assert json.loads(stored)["app"].startswith("unknownunknown")
