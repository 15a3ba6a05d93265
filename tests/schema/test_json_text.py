"""JSON columns: what changes in place is written, and what lies at a path is found by an index."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from streamhub_orm import Databases
from streamhub_orm.app_db import AppPlugin, Stream, StreamType, Vod
from streamhub_orm.errors import HiddenValueError, StoredValueError
from streamhub_orm.global_db import ApiToken, App, Node, ServerLog
from streamhub_orm.init import make_installation
from streamhub_orm.schema import json_to_text
from streamhub_orm.services import vods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    with Databases(make_installation(tmp_path / "data").root) as opened:
        yield opened


def add(databases: Databases, **values: Any) -> None:  # noqa: ANN401 - any column
    with databases.app_session("live") as session:
        session.add(Vod(id=1, name="v", **values))


def stored(databases: Databases) -> object:
    with databases.app_session("live", read_only=True) as session:
        return session.connection().exec_driver_sql("SELECT metatags_json FROM vods").scalar_one()


# --- what is malformed -------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['{"password":"SECRET"', "SECRET", '"SECRET"', "7", "", b"\xff"])
def test_malformed_json_is_refused_where_it_is_used_and_spoils_no_other_row(
    databases: Databases, text: object
) -> None:
    """Neither an empty object nor a NULL is made of it, and its row can be changed."""
    with databases.app_session("live") as session:
        session.add_all(
            AppPlugin(plugin_id=name, config_json={"a": 1}) for name in ("radio", "yolo")
        )
        session.flush()
        spoil = sa.text("UPDATE app_plugins SET config_json = :text WHERE plugin_id = 'radio'")
        session.execute(spoil, {"text": text})
    with databases.app_session("live") as session:
        bad, good = session.scalars(sa.select(AppPlugin).order_by(AppPlugin.plugin_id))
        bad.enabled = False
    assert good.config_json == {"a": 1}
    uses: list[Callable[[Any], object]] = [
        lambda it: it["a"],
        lambda it: it.get("a"),
        list,
        dict,
        bool,
        lambda it: "a" in it,
        lambda it: it.update(a=1),
        lambda it: it | {},
        copy.deepcopy,
        json_to_text,
    ]
    for use in uses:
        with pytest.raises(HiddenValueError) as raised:
            use(bad.config_json)
        assert "SECRET" not in str(raised.value) + repr(bad.config_json)
    with pytest.raises(HiddenValueError, match=r"JSON .*in config_json"):
        bad.config_json["a"]  # type: ignore[index]
    with databases.app_session("live") as session:
        bad = session.get_one(AppPlugin, "radio")
        raw = session.execute(sa.text("SELECT config_json FROM app_plugins ORDER BY plugin_id"))
        assert (raw.scalars().first(), bad.enabled) == (text, False)
        bad.config_json = {"b": 2}
    with databases.app_session("live") as session:
        assert session.get_one(AppPlugin, "radio").config_json == {"b": 2}


# --- changes in place ---------------------------------------------------------------------------

CHANGES: list[tuple[Callable[[Any], object], str]] = [
    (lambda tags: tags.update(b=2), '{"a":[1],"b":2}'),
    (lambda tags: tags.__setitem__("a", [2]), '{"a":[2]}'),
    (lambda tags: tags.pop("a"), "{}"),
    (lambda tags: tags.clear(), "{}"),
    (lambda tags: tags.setdefault("b", None), '{"a":[1],"b":null}'),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_change_of_a_loaded_object_is_written(
    databases: Databases, change: Callable[[Any], object], expected: str
) -> None:
    add(databases, metatags_json={"a": [1]})
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 1)
        change(vod.metatags_json)
    assert stored(databases) == expected


@pytest.mark.parametrize("copied", [lambda vod: pickle.loads(pickle.dumps(vod))])  # noqa: S301
def test_change_is_followed_wherever_the_row_has_been(
    databases: Databases, copied: Callable[[Vod], Vod]
) -> None:
    """After a flush, a refresh, a statement that updates it, a pickle and a merge."""
    with databases.app_session("live") as session:
        vod = Vod(name="v", metatags_json={"n": 0})
        session.add(vod)
        session.flush()
        assert vod.metatags_json is not None
        vod.metatags_json["n"] = 1
        session.flush()
        session.refresh(vod)
        vod.metatags_json["n"] = 2
        session.flush()
        vods.update(session, vod.id, metatags_json={"n": 3})
        vod.metatags_json["n"] = 4
        session.flush()
        session.expire(vod)
        assert vod.metatags_json["n"] == 4
    travelled = copied(vod)
    with databases.app_session("live") as session:
        merged = session.merge(travelled)
        assert merged.metatags_json is not None
        merged.metatags_json["n"] = 5
    assert stored(databases) == '{"n":5}'


def test_read_only_session_refuses_a_change_in_place(databases: Databases) -> None:
    """Nothing is dropped without a word."""
    add(databases, metatags_json={"a": 1})
    with (  # noqa: PT012 - the end of the block is what raises
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        databases.app_session("live", read_only=True) as session,
    ):
        vod = session.get_one(Vod, 1)
        assert vod.metatags_json is not None
        vod.metatags_json["a"] = 2
    assert stored(databases) == '{"a":1}'


def test_row_that_is_only_read_is_not_written(databases: Databases) -> None:
    add(databases, metatags_json={"a": 1})
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 1)
        assert vod.metatags_json == {"a": 1}
        assert not session.dirty


def test_every_json_column_follows_its_changes(databases: Databases) -> None:
    app_rows: list[Any] = [
        Stream(app_id=1, stream_id="s", type=StreamType.WHIP, last_stats_json={"n": 1}),
        AppPlugin(plugin_id="p", config_json={"n": 1}),
    ]
    global_rows: list[Any] = [
        Node(id="n", stats_json={"n": 1}),
        App(name="tv-2", settings_json={"n": 1}),
    ]
    token = ApiToken(name="t", token_hash="h", scope="global", allowed_ips_json=["10.0.0.1"])  # noqa: S106
    for opened, rows in (
        (databases.app_session("live"), app_rows),
        (databases.global_session(), [*global_rows, token]),
    ):
        with opened as session:
            session.add_all(rows)
            session.flush()
            for row in rows:
                (name,) = [it.name for it in type(row).__table__.columns if "json" in it.name]
                value = getattr(row, name)
                value.append("10.0.0.2") if row is token else value.update(n=2)
                assert row in session.dirty
    with databases.global_session(read_only=True) as session:
        assert session.scalars(sa.select(ApiToken.allowed_ips_json)).one() == [
            "10.0.0.1",
            "10.0.0.2",
        ]


@pytest.mark.parametrize("text", ["[1]", "{}", "null"])
def test_stored_object_list_or_null_is_read_whatever_was_expected(
    databases: Databases, text: str
) -> None:
    add(databases)
    with databases.app_session("live") as session:
        session.execute(sa.text("UPDATE vods SET metatags_json = :text"), {"text": text})
    with databases.app_session("live", read_only=True) as session:
        assert session.get_one(Vod, 1).metatags_json == {"[1]": [1], "{}": {}, "null": None}[text]


def test_value_that_is_no_object_is_refused_where_it_is_assigned() -> None:
    with pytest.raises(StoredValueError, match="a JSON object or list"):
        Vod(name="v", metatags_json="text")


def test_line_of_the_log_may_hold_any_json(databases: Databases) -> None:
    """The Node core writes whatever it was given."""
    with databases.global_session() as session:
        session.add(ServerLog(level="info", message="m", meta_json="text"))
    with databases.global_session(read_only=True) as session:
        assert session.scalars(sa.select(ServerLog)).one().meta_json == "text"


def test_copy_of_a_value_is_its_own(databases: Databases) -> None:
    add(databases, metatags_json={"a": [1]})
    with databases.app_session("live") as session:
        vod = session.get_one(Vod, 1)
        other = copy.deepcopy(dict(vod.metatags_json or {}))
        other["a"] = 2
        assert not session.dirty


# --- paths --------------------------------------------------------------------------------------


@pytest.fixture
def session(databases: Databases) -> Iterator[Session]:
    with databases.app_session("live") as opened:
        values: list[Any] = [
            {
                "egressId": "EG_1",
                "n": 5,
                "on": True,
                "list": [1, {"deep": "x"}],
                "it's": {"a b": 1},
            },
            {"egressId": "EG_2", "n": 50, "on": False, "list": [2]},
            {"egressId": None},
            None,
        ]
        opened.add_all([Vod(name=str(n), metatags_json=tags) for n, tags in enumerate(values)])
        opened.flush()
        opened.execute(
            sa.text("INSERT INTO vods (app_id, name, metatags_json) VALUES (1, 'bad', '{')")
        )
        yield opened


TAGS = Vod.metatags_json
PATHS = [
    (TAGS["egressId"] == "EG_1", ["0"]),
    (TAGS["egressId"] != "EG_1", ["1"]),
    (TAGS["egressId"].in_(["EG_2", "EG_3"]), ["1"]),
    (TAGS["egressId"].like("EG%"), ["0", "1"]),
    (TAGS["egressId"].is_(None), ["2"]),
    (TAGS["egressId"].is_not(None), ["0", "1"]),
    (TAGS["n"] > 5, ["1"]),
    (TAGS["n"].between(5, 6), ["0"]),
    (TAGS["on"] == sa.true(), ["0"]),
    (TAGS["on"] == True, ["0"]),  # noqa: E712 - a statement
    (TAGS["list"][0] == 2, ["1"]),
    (TAGS["list"][-1]["deep"] == "x", ["0"]),
    (TAGS["it's"]["a b"] == 1, ["0"]),
    (Vod.written_by_egress("EG_2"), ["1"]),
]


@pytest.mark.parametrize(("condition", "expected"), PATHS)
def test_rows_are_found_by_what_lies_at_a_path(
    session: Session, condition: sa.ColumnElement[bool], expected: list[str]
) -> None:
    """A row whose JSON is malformed fails no query."""
    found = session.scalars(sa.select(Vod.name).where(condition).order_by(Vod.id))
    assert found.all() == expected


def test_what_lies_at_a_path_is_selected_and_sorted_by(session: Session) -> None:
    path = TAGS["egressId"]
    rows = session.execute(sa.select(Vod.name, path).order_by(path.desc(), Vod.name)).all()
    assert [tuple(row) for row in rows] == [
        ("1", "EG_2"),
        ("0", "EG_1"),
        ("2", None),
        ("3", None),
        ("bad", None),
    ]
    assert session.scalar(sa.select(TAGS["list"]).where(Vod.name == "0")) == '[1,{"deep":"x"}]'


@pytest.mark.parametrize("model", [Vod, aliased(Vod)])
@pytest.mark.parametrize("read_as", ["column", "method"])
def test_index_on_a_path_serves_it(session: Session, model: type[Vod], read_as: str) -> None:
    condition = model.metatags_json["egressId"] == "EG_1"
    if read_as == "method":
        condition = Vod.written_by_egress("EG_1")
    statement = sa.select(Vod.id if read_as == "method" else model.id).where(condition)
    compiled = statement.compile(session.connection())
    plan = session.connection().exec_driver_sql(
        f"EXPLAIN QUERY PLAN {compiled}", tuple(compiled.params.values())
    )
    assert "USING INDEX idx_vods_egress (<expr>=?)" in "\n".join(row[3] for row in plan)


def test_keys_make_statements_of_their_own(session: Session) -> None:
    """The cache of compiled statements must not take one path for another."""
    for key, expected in (("egressId", "EG_1"), ("n", 5), ("egressId", "EG_1")):
        assert session.scalar(sa.select(TAGS[key]).where(Vod.name == "0")) == expected


@pytest.mark.parametrize("key", ['a"b', "a\nb", "a\0b", "\ud800"])
def test_key_that_no_path_can_name_is_refused(key: str) -> None:
    with pytest.raises(StoredValueError, match="without quotation marks"):
        _ = TAGS[key]
