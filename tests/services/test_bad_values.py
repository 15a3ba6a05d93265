"""Values that clients make up: refused in our words or unknown, and never told where secret."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from datetime import timedelta
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import AppPlugin, StreamType, Vod
from streamhub_orm.errors import (
    HiddenValueError,
    StoredValueError,
    StreamHubError,
    UnknownAppError,
    UnknownTenantError,
)
from streamhub_orm.global_db import IpAction
from streamhub_orm.schema import json_from_text, json_to_text, utc_now
from streamhub_orm.services import (
    apps,
    ingress,
    ip_bans,
    ip_rules,
    logs,
    magic_links,
    memberships,
    nodes,
    plugins,
    quotas,
    restream,
    sign_ins,
    streams,
    tenants,
    tokens,
    users,
    variants,
    vods,
)
from streamhub_orm.services.logs import LogFilter
from streamhub_orm.services.paging import PageKey
from streamhub_orm.services.vods import VodFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from streamhub_orm import Databases

SURROGATE, NUL = "half \ud800", "cut\0here"
BAD_TEXTS = (SURROGATE, NUL)
HUGE = 2**63

ON_APPS: dict[str, Callable[[Session, str], object]] = {
    "streams.upsert": lambda s, t: streams.upsert(
        s, room=t, participant="p", type=StreamType.WEBRTC
    ),
    "streams.end": streams.end,
    "streams.find": streams.find,
    "streams.list_active": lambda s, t: streams.list_active(s, room=t),
    "streams.update_stats": lambda s, t: streams.update_stats(s, t, {}),
    "vods.create": lambda s, t: vods.create(s, name=t),
    "vods.list_": lambda s, t: vods.list_(s, VodFilter(room=t)),
    "vods.count": lambda s, t: vods.count(s, VodFilter(room=t)),
    "variants.create": lambda s, t: variants.create(s, vods.create(s, name="v").id, format=t),
    "plugins.install": lambda s, t: plugins.install(s, t, config={}),
    "plugins.find": plugins.find,
    "plugins.delete": plugins.delete,
    "ingress.register": lambda s, t: ingress.register(s, ingress_id=t),
    "ingress.delete": ingress.delete,
    "restream.create": lambda s, t: restream.create(s, room=t, url="rtmp://a.example/k"),
    "restream.find_by_egress": restream.find_by_egress,
    "session.get": lambda s, t: s.get(AppPlugin, t),
}
ON_GLOBAL: dict[str, Callable[[Session, str], object]] = {
    "users.create": lambda s, t: users.create(s, "a@example.org", name=t),
    "users.get": users.get,
    "tenants.create": lambda s, t: tenants.create(
        s, t, owner_id=users.create(s, "b@example.org").id
    ),
    "memberships.find_role": lambda s, t: memberships.find_role(s, t, t),
    "tokens.issue": tokens.issue,
    "tokens.list_": lambda s, t: tokens.list_(s, tenant_id=t),
    "sign_ins.touch": sign_ins.touch,
    "sign_ins.revoke": sign_ins.revoke,
    "magic_links.request": magic_links.request,
    "nodes.join": nodes.join,
    "apps.get": apps.get,
    "quotas.get": quotas.get,
    "logs.list_": lambda s, t: logs.list_(s, LogFilter(text=t)),
    "logs.list_ app": lambda s, t: logs.list_(s, LogFilter(app=t)),
    "ip_rules.create": lambda s, t: ip_rules.create(s, "192.0.2.0/24", IpAction.BLOCK, note=t),
    "ip_bans.ban": lambda s, t: ip_bans.ban(s, "192.0.2.1", t),
}


@pytest.mark.parametrize("text", BAD_TEXTS, ids=["surrogate", "nul"])
def test_text_that_no_database_holds_is_refused_in_words(databases: Databases, text: str) -> None:
    for name, call in (ON_APPS | ON_GLOBAL).items():
        block = databases.app_session("live") if name in ON_APPS else databases.global_session()
        with block as session:
            with pytest.raises(StreamHubError) as raised:
                call(session, text)
            session.rollback()
        assert "\ud800" not in str(raised.value), name
        if isinstance(raised.value, HiddenValueError):
            assert "half \ud800" not in repr(raised.value.args), name
            assert raised.value.__cause__ is None, name  # Python's error holds the text


@pytest.mark.parametrize("text", BAD_TEXTS, ids=["surrogate", "nul"])
def test_who_asks_with_such_a_text_is_unknown(databases: Databases, text: str) -> None:
    assert users.authenticate(databases, f"{text}@example.org", "password") is None
    assert not tokens.check_request(databases, f"sk_{text}", address=text)
    assert not ingress.validate(databases, "live", text, "password")
    with databases.global_session() as session:
        assert users.find_by_email(session, text) is None
        assert sign_ins.find_active(session, text) is None
        assert not magic_links.claim(session, text)
    with databases.app_session("live") as session:
        assert ingress.find(session, text) is None
        assert ingress.find_by_key(session, text) is None
        assert not ingress.is_authorised(session, text, strict=True)
        assert not ingress.admit(session, text, strict=True)


@pytest.mark.parametrize("name", ["half \ud800", "cut\0here", "live\0", "a" * 5000])
def test_no_app_has_such_a_name(databases: Databases, name: str) -> None:
    with pytest.raises(StreamHubError) as raised, databases.app_session(name) as session:
        session.connection()
    assert type(raised.value).__name__ in {"AppNameError", UnknownAppError.__name__}


def test_a_number_beyond_64_bits_is_refused_in_words(databases: Databases) -> None:
    with databases.app_session("live") as session:
        vod = vods.create(session, name="v").id
        calls: list[Callable[[], object]] = [
            lambda: vods.get(session, HUGE),
            lambda: vods.get(session, -HUGE - 1),
            lambda: vods.update(session, vod, size_bytes=HUGE),
            lambda: streams.end_by_id(session, HUGE),
            lambda: restream.get_url(session, HUGE),
            lambda: vods.list_(session, offset=HUGE),
            lambda: session.get(Vod, HUGE),
            lambda: session.connection().exec_driver_sql("SELECT ?", (HUGE,)),
        ]
        for call in calls:
            with pytest.raises(HiddenValueError, match="64 bits"):
                call()


@pytest.mark.parametrize("limit", [1.5, 0, "10", None, True, math.nan])
def test_a_limit_is_a_whole_number(databases: Databases, limit: Any) -> None:  # noqa: ANN401
    with databases.app_session("live") as session, pytest.raises(StoredValueError, match="limit"):
        vods.list_(session, limit=limit)
    with databases.global_session() as session, pytest.raises(StoredValueError, match="limit"):
        logs.list_(session, limit=limit)


def test_an_offset_is_a_whole_number(app_session: Session) -> None:
    with pytest.raises(StoredValueError, match="offset"):
        vods.list_(app_session, offset=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [PageKey("", 7), PageKey(None, 7), PageKey(7, 7)])  # type: ignore[arg-type]
def test_a_key_without_a_time_gives_no_page_of_the_log(
    global_session: Session, key: PageKey
) -> None:
    with pytest.raises(StoredValueError, match="the key of a page"):
        logs.list_(global_session, after=key)


def test_a_key_made_by_hand_gives_no_page_of_recordings(app_session: Session) -> None:
    for key in (PageKey("", 7), PageKey("2026-01-01 00:00:00", "7")):  # type: ignore[arg-type]
        with pytest.raises(StoredValueError, match="the key of a page"):
            vods.list_(app_session, after=key)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [nested(998), nested(100_000), {"n": 10**5000}, {"s": {1}}, {"f": math.inf}, {1, 2}],
    ids=["deep", "deeper", "long number", "set", "infinity", "no object"],
)
def test_json_that_cannot_be_written_is_refused_and_not_told(
    databases: Databases,
    value: Any,  # noqa: ANN401
) -> None:
    secret = "pa55word"  # noqa: S105
    config = {"password": secret, "value": value}
    with databases.app_session("live") as session:
        plugins.install(session, "radio", config={"a": 1} | dict.fromkeys(config))
    with pytest.raises(Exception, match="JSON") as raised, databases.app_session("live") as session:
        plugins.configure(session, "radio", config)
    error: BaseException | None = raised.value
    while error is not None:
        assert secret not in str(error) + repr(error)
        error = error.__cause__
    with databases.app_session("live") as session:
        kept = {"a": 1} | dict.fromkeys(config)
        assert session.get_one(AppPlugin, "radio").config_json == kept


def test_json_of_many_levels_that_python_writes_is_changed_too(databases: Databases) -> None:
    levels = 900
    with databases.app_session("live") as session:
        plugins.install(session, "radio", config={"a": nested(levels), "b": 0})
    for config in ({"a": nested(levels)}, {"a": nested(levels), "b": 1}, {"a": 1}):
        with databases.app_session("live") as session:
            plugins.configure(session, "radio", config)
    with databases.app_session("live") as session:
        assert session.get_one(AppPlugin, "radio").config_json == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "stored", ["[" * 100_000, '{"password":"pa55word"', "pa55word", "9" * 5000]
)
def test_stored_json_that_cannot_be_read_is_not_told(databases: Databases, stored: str) -> None:
    with pytest.raises(HiddenValueError, match="expected JSON text") as raised:
        json_from_text(stored)
    assert "pa55word" not in str(raised.value)
    assert raised.value.__cause__ is None  # json's error holds all of the text
    assert "pa55word" not in repr(raised.value.args)


def test_json_with_half_a_pair_or_nul_is_kept(app_session: Session) -> None:
    config = {"a": SURROGATE, "b": NUL}
    plugins.install(app_session, "radio", config=config)
    app_session.expire_all()
    assert app_session.get_one(AppPlugin, "radio").config_json == config
    assert json_from_text(json_to_text(config)) == config


def test_an_error_with_a_value_that_has_no_repr_is_told(app_session: Session) -> None:
    for value in (10**5000, nested(100_000), "x" * 10_000):
        assert len(str(StoredValueError("a word", value))) < 400


@pytest.mark.parametrize("amount", [math.nan, -1, -math.inf, math.inf, "1"])
@pytest.mark.parametrize("metric", [quotas.Metric.APPS, quotas.Metric.STORAGE_GB])
def test_an_amount_is_a_number_from_0(
    databases: Databases,
    metric: quotas.Metric,
    amount: Any,  # noqa: ANN401
) -> None:
    with (
        pytest.raises(StoredValueError, match="amount"),
        quotas.reserve(databases, "platform", metric, amount),
    ):
        pytest.fail("reserved")


def test_a_tenant_that_does_not_exist_reserves_nothing(databases: Databases) -> None:
    with (
        pytest.raises(UnknownTenantError),
        quotas.reserve(databases, "nobody", quotas.Metric.APPS),
    ):
        pytest.fail("reserved")


def spoil(databases: Databases, name: str, statement: str) -> None:
    path = databases.place.global_db if not name else databases.place.app_db(name)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_text_that_is_no_utf_8_fails_alone_when_it_is_read(databases: Databases) -> None:
    with databases.app_session("live") as session:
        for number in range(3):
            vods.create(session, name=f"Show {number}", room="stage")
    spoil(databases, "live", "UPDATE vods SET name = CAST(x'6162ff' AS TEXT) WHERE id = 2")
    with databases.app_session("live", read_only=True) as session:
        page = vods.list_(session, order=vods.VodOrder.ID_ASCENDING)
    assert [row.id for row in page] == [1, 2, 3]
    assert (page[0].name, page[2].name, page[1].room) == ("Show 0", "Show 2", "stage")
    for read in (lambda: page[1].name, lambda: page[1][4], lambda: list(page[1])):
        with pytest.raises(HiddenValueError, match="text in UTF-8"):
            read()
    assert "Show 0" in repr(page[0])
    assert repr(page[1])


def test_a_row_that_is_no_utf_8_is_refused_without_its_texts(databases: Databases) -> None:
    with databases.app_session("live") as session:
        vod = vods.create(session, name="v").id
        ingress.register(session, ingress_id="i", stream_key="wsk_pa55word")
    spoil(databases, "live", "UPDATE vods SET name = CAST(x'6162ff' AS TEXT)")
    key = "UPDATE ingress_auth SET stream_key = CAST(CAST('pa55word' AS BLOB) || x'ff' AS TEXT)"
    spoil(databases, "live", key)
    with databases.app_session("live") as session:
        for call in (lambda: vods.get(session, vod), lambda: ingress.find(session, "i")):
            with pytest.raises(HiddenValueError, match="text in UTF-8") as raised:
                call()
            assert "pa55word" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.files
def test_a_line_that_is_no_utf_8_is_told_with_its_bytes(databases: Databases) -> None:
    spoil(
        databases,
        "",
        """INSERT INTO server_logs (ts, level, source, message) VALUES
        ('2026-01-01 00:00:01', 'info', 'a', 'good'),
        ('2026-01-01 00:00:02', 'info', 'a', CAST(x'6162ff' AS TEXT))""",
    )
    with databases.global_session(read_only=True) as session:
        assert [line.message for line in logs.list_(session)] == [r"ab\xff", "good"]


def test_a_stream_whose_id_has_a_nul_stays_where_it_is_present(databases: Databases) -> None:
    """The Node core stores what LiveKit tells it."""
    with databases.app_session("live") as session:
        streams.upsert(session, room="stage", participant="one", type=StreamType.WEBRTC)
        streams.upsert(session, room="hall", participant="one", type=StreamType.WEBRTC)
    with closing(sqlite3.connect(databases.place.app_db("live"))) as connection, connection:
        connection.executemany(
            "INSERT INTO streams (app_id, stream_id, type, room) VALUES (1, ?, 'whip', 'stage')",
            [("stage/a\0b",), ("stage/gone\0",)],
        )
    present = ["a\0b", "one", "new\0", "half \ud800"]
    with databases.app_session("live") as session:
        later = utc_now() + timedelta(minutes=1)
        found = streams.reconcile(session, "stage", present, now=later)
        assert found.ended == ["stage/gone\0"]
        assert found.unknown == ["stage/half \ud800", "stage/new\0"]
        assert streams.count_active(session) == 3
    assert json.dumps(found.ended)


def test_text_that_is_no_utf_8_is_refused_by_every_read_and_not_shown(databases: Databases) -> None:
    with databases.app_session("live") as session:
        vods.create(session, name="v")
        connection = session.connection()
        connection.exec_driver_sql("UPDATE vods SET room = CAST(x'63616e617279ff' AS TEXT)")
    for read in (
        lambda session: session.get(Vod, 1),
        lambda session: session.scalars(sa.select(Vod)).all(),
        lambda session: session.execute(sa.select(Vod.room)).all(),
        lambda session: session.connection().exec_driver_sql("SELECT room FROM vods").fetchone(),
        lambda session: vods.get(session, 1),
    ):
        with databases.app_session("live", read_only=True) as session:
            with pytest.raises(HiddenValueError, match="UTF-8") as caught:
                read(session)
            assert "canary" not in "".join(format_exception(caught.value))
