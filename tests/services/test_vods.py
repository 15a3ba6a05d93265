"""Recordings: made, found, changed, moved from status to status, deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import Vod, VodStatus, VodVariant
from streamhub_orm.errors import (
    StoredValueError,
    UnknownVodError,
    VodFieldError,
    VodStateError,
)
from streamhub_orm.services import vod_rows, vods
from streamhub_orm.testing.checks import plan_of
from tests.support.installations.accounting import columns_of_the_core

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases
    from streamhub_orm.services.core import PointQuery

pytestmark = pytest.mark.history

NOON = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)
LEGAL = {
    ("recording", "uploading"),
    ("recording", "failed"),
    ("uploading", "ready"),
    ("uploading", "failed"),
    ("failed", "uploading"),
}


def insert(session: Session, status: VodStatus = VodStatus.RECORDING, **values: Any) -> int:  # noqa: ANN401 - any column
    vod = Vod(**({"app_id": 1, "name": "opening"} | values), status=status)
    session.add(vod)
    session.flush()
    return vod.id


def raw(session: Session, vod_id: int) -> dict[str, Any]:
    found = session.execute(sa.text("SELECT * FROM vods WHERE id = :id"), {"id": vod_id})
    return dict(found.mappings().one())


# --- insert and look-ups --------------------------------------------------------------------


def test_new_recording_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    vod = vods.create(
        app_session,
        app_id=1,
        name="opening",
        stream_id="stage/ann",
        room="stage",
        metatags_json={"egressId": "EG_1"},
        now=NOON,
    )
    columns = columns_of_the_core("vods")
    stored = raw(app_session, vod.id)
    assert {name: it for name, it in stored.items() if name in columns and it is not None} == {
        "id": vod.id,
        "app_id": 1,
        "stream_id": "stage/ann",
        "room": "stage",
        "name": "opening",
        "status": "recording",
        "started_at": "2026-01-31T12:00:00.123Z",
        "metatags_json": '{"egressId":"EG_1"}',
    }


@pytest.mark.parametrize(
    ("values", "stream_id"),
    [
        ({"room": "stage"}, "stage"),
        ({"room": "stage", "stream_id": "stage/ann"}, "stage/ann"),
        ({}, None),
    ],
)
def test_stream_of_a_recording_is_its_room_unless_it_is_given(
    app_session: Session, values: dict[str, Any], stream_id: str | None
) -> None:
    """Schema reference, VODs: stream_id defaults to the room."""
    assert vods.create(app_session, name="a", **values).stream_id == stream_id


def test_recording_may_have_begun_earlier_or_at_no_known_time(app_session: Session) -> None:
    known = vods.create(app_session, app_id=1, name="a", started_at=NOON)
    unknown = vods.create(app_session, app_id=1, name="b", started_at=None)
    assert (known.started_at, unknown.started_at) == (NOON, None)


def test_insert_refuses_what_is_not_its_to_set(app_session: Session) -> None:
    with pytest.raises(VodFieldError, match="id, status cannot be set"):
        vods.create(app_session, app_id=1, name="a", status="ready", id=7)  # type: ignore[call-arg]


def test_row_decodes_its_values_when_they_are_asked_for(app_session: Session) -> None:
    vods.create(app_session, app_id=1, name="a", metatags_json={"a": [1]}, now=NOON)
    row = vods.get(app_session, 1)
    assert row.status is VodStatus.RECORDING
    assert (row.started_at, row.ended_at) == (NOON, None)
    assert row.metatags_json == {"a": [1]}
    assert row.started_at_text == "2026-01-31T12:00:00.123Z"


def test_row_holds_the_columns_of_the_model_in_order(app_session: Session) -> None:
    """A column that is added to the model is missed here."""
    vod_id = insert(app_session, room="stage", file_key="a.mp4", snapshot_key="a.jpg")
    assert list(vods.get(app_session, vod_id)) == list(raw(app_session, vod_id).values())
    assert len(vods.VodRow._fields) == len(sa.inspect(Vod).columns)


def test_row_has_the_types_of_the_model() -> None:
    """Whoever goes over from the one to the other changes no line that reads a column."""
    columns = sa.inspect(Vod).columns.keys()
    model = get_type_hints(Vod)
    known = vars(vod_rows) | {"datetime": datetime}
    row = get_type_hints(vods.VodRow.__base__, known)
    for name, member in vars(vods.VodRow).items():
        if isinstance(member, property):
            row[name] = get_type_hints(member.fget, known)["return"]
    assert {it: row[it] for it in columns} == {it: get_args(model[it])[0] for it in columns}


def test_fields_to_set_are_the_columns_of_the_model_but_for_identity_and_status() -> None:
    """A column that is added to the model is missed here."""
    fixed = {"id", "app_id", "stream_id", "status"}
    columns = {column.key for column in sa.inspect(Vod).columns}
    assert vods.VodChanges.__annotations__.keys() == columns - fixed
    assert vods.VodFields.__annotations__.keys() == columns - fixed - {"name"}


def test_malformed_value_spoils_only_itself(app_session: Session) -> None:
    vod_id = insert(app_session)
    app_session.execute(sa.text("UPDATE vods SET metatags_json = '{', ended_at = 'soon'"))
    row = vods.get(app_session, vod_id)
    assert row.name == "opening"
    with pytest.raises(StoredValueError, match="JSON text"):
        _ = row.metatags_json
    with pytest.raises(StoredValueError, match="soon"):
        _ = row.ended_at


def test_recording_is_found_by_its_egress(app_session: Session) -> None:
    """The newest of several; malformed tags of others are no hindrance."""
    for egress in ("EG_1", "EG_2", "EG_1"):
        insert(app_session, metatags_json={"egressId": egress})
    insert(app_session)
    app_session.execute(sa.text("UPDATE vods SET metatags_json = '{' WHERE id = 4"))
    first = vods.find_by_egress(app_session, "EG_1")
    assert first is not None
    assert first.id == 3
    assert vods.find_by_egress(app_session, "EG_3") is None


@pytest.mark.parametrize("status", [VodStatus.RECORDING, VodStatus.UPLOADING])
def test_recording_in_progress_is_the_newest_that_is_recorded_or_uploaded(
    app_session: Session, status: VodStatus
) -> None:
    """Active VOD of a stream: status recording or uploading, highest id."""
    insert(app_session, stream_id="stage/ann")
    insert(app_session, VodStatus.UPLOADING, stream_id="stage/ann")
    newest = insert(app_session, status, stream_id="stage/ann")
    insert(app_session, VodStatus.READY, stream_id="stage/ann")
    insert(app_session, VodStatus.FAILED, stream_id="stage/ann")
    insert(app_session, stream_id="stage/ben")
    found = vods.find_in_progress(app_session, "stage/ann")
    assert found is not None
    assert found.id == newest
    assert vods.find_in_progress(app_session, "stage/cleo") is None


def test_get_of_no_recording_raises(app_session: Session) -> None:
    with pytest.raises(UnknownVodError, match="no recording 7"):
        vods.get(app_session, 7)


@pytest.mark.parametrize(
    ("query", "parameter", "plan"),
    [
        (vods._BY_EGRESS, "egress_id", "idx_vods_egress (<expr>=?)"),
        (vods._IN_PROGRESS, "stream_id_", "idx_vods_stream_in_progress (stream_id=?)"),
    ],
)
def test_look_up_searches_its_index(
    app_session: Session, query: PointQuery, parameter: str, plan: str
) -> None:
    found = plan_of(app_session, query.statement, {parameter: "x"})
    assert found == f"SEARCH vods USING INDEX {plan}"


# --- patch ----------------------------------------------------------------------------------


def test_patch_changes_what_is_named_and_nothing_else(app_session: Session) -> None:
    vod_id = insert(app_session, room="stage", size_bytes=1)
    before = raw(app_session, vod_id)
    vods.update(app_session, vod_id, size_bytes=2, ended_at=NOON, metatags_json={"a": "é"})
    assert raw(app_session, vod_id) == before | {
        "size_bytes": 2,
        "ended_at": "2026-01-31T12:00:00.123Z",
        "metatags_json": '{"a":"é"}',
    }


def test_patch_can_set_null(app_session: Session) -> None:
    vod_id = insert(app_session, room="stage", metatags_json={"a": 1})
    vods.update(app_session, vod_id, room=None, metatags_json=None)
    row = raw(app_session, vod_id)
    assert (row["room"], row["metatags_json"]) == (None, None)


def test_patch_shows_in_what_the_session_had_loaded(app_session: Session) -> None:
    vod = app_session.get_one(Vod, insert(app_session))
    vods.update(app_session, vod.id, name="closing")
    assert vod.name == "closing"


@pytest.mark.parametrize(
    "changes",
    [{"status": "ready"}, {"id": 9}, {"app_id": 2}, {"stream_id": "x"}, {"no such": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_patch_refuses_what_is_not_on_its_list(
    app_session: Session, changes: dict[str, Any]
) -> None:
    """One refused column stops all of the patch."""
    vod_id = insert(app_session)
    before = raw(app_session, vod_id)
    with pytest.raises(VodFieldError, match=f"{next(iter(changes))} cannot be set"):
        vods.update(app_session, vod_id, **{"name": "closing", **changes})
    assert raw(app_session, vod_id) == before


@pytest.mark.parametrize("changes", [{}, {"name": "x"}])
def test_patch_of_no_recording_raises(app_session: Session, changes: dict[str, Any]) -> None:
    insert(app_session)
    with pytest.raises(UnknownVodError):
        vods.update(app_session, 7, **changes)


# --- states ---------------------------------------------------------------------------------


@pytest.mark.parametrize("found", VodStatus)
@pytest.mark.parametrize("to", VodStatus)
def test_only_legal_moves_are_made(app_session: Session, found: VodStatus, to: VodStatus) -> None:
    """A refused move changes nothing, and says what it found and expected."""
    vod_id = insert(app_session, found)
    before = raw(app_session, vod_id)
    if (found, to) in LEGAL:
        vods.set_status(app_session, vod_id, to, size_bytes=5, now=NOON)
        ended = {} if to is VodStatus.READY else {"ended_at": "2026-01-31T12:00:00.123Z"}
        assert raw(app_session, vod_id) == before | {"status": to, "size_bytes": 5} | ended
        return
    with pytest.raises(VodStateError) as raised:
        vods.set_status(app_session, vod_id, to, size_bytes=5)
    assert (raised.value.found, raised.value.wanted) == (found, to)
    assert set(raised.value.sources) == vods._SOURCES[to]
    assert raw(app_session, vod_id) == before


def test_recording_ends_once(app_session: Session) -> None:
    """Schema reference, VODs: uploading (egress done, ended_at set), then ready or failed."""
    vod_id = insert(app_session)
    vods.set_status(app_session, vod_id, VodStatus.UPLOADING, now=NOON)
    for to in (VodStatus.FAILED, VodStatus.UPLOADING, VodStatus.READY):
        vods.set_status(app_session, vod_id, to)
        assert vods.get(app_session, vod_id).ended_at == NOON
    known = insert(app_session)
    vods.set_status(app_session, known, VodStatus.UPLOADING, ended_at=NOON)
    assert vods.get(app_session, known).ended_at == NOON


def test_move_refuses_a_field_of_no_patch(app_session: Session) -> None:
    vod_id = insert(app_session)
    with pytest.raises(VodFieldError):
        vods.set_status(app_session, vod_id, VodStatus.UPLOADING, app_id=2)  # type: ignore[call-arg]
    assert raw(app_session, vod_id)["status"] == "recording"


def test_move_refuses_a_status_that_is_none(app_session: Session) -> None:
    vod_id = insert(app_session)
    with pytest.raises(StoredValueError, match=r"expected one of recording, .*found 'redy'"):
        vods.set_status(app_session, vod_id, "redy")  # type: ignore[arg-type]
    assert raw(app_session, vod_id)["status"] == "recording"


def test_move_of_no_recording_raises(app_session: Session) -> None:
    with pytest.raises(UnknownVodError):
        vods.set_status(app_session, 7, VodStatus.UPLOADING)


def test_move_shows_in_what_the_session_had_loaded(app_session: Session) -> None:
    vod = app_session.get_one(Vod, insert(app_session))
    vods.set_status(app_session, vod.id, VodStatus.UPLOADING)
    assert vod.status is VodStatus.UPLOADING


def test_one_of_many_workers_gets_the_upload(databases: Databases) -> None:
    """Even where each looked before and saw that it was free."""
    with databases.app_session("live") as session:
        vod_id = insert(session)

    def claim(_: int) -> bool:
        with databases.app_session("live", read_only=True) as session:
            assert vods.get(session, vod_id).status in {VodStatus.RECORDING, VodStatus.UPLOADING}
        try:
            with databases.app_session("live") as session:
                vods.set_status(session, vod_id, VodStatus.UPLOADING)
        except VodStateError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(claim, range(12))) == 1


# --- delete ---------------------------------------------------------------------------------


def test_delete_takes_the_variants_along_and_returns_their_keys(app_session: Session) -> None:
    """Each key once; other recordings keep theirs."""
    gone = insert(app_session, file_key="a.mp4", snapshot_key="a.jpg", local_path="/r/a.mp4")
    stays = insert(app_session, file_key="b.mp4")
    keys = ["a.mp4", "a-720.mp4", None]
    app_session.add_all(VodVariant(vod_id=gone, format="mp4", file_key=key) for key in keys)
    app_session.add(VodVariant(vod_id=stays, format="mp4", file_key="b-720.mp4"))
    deleted = vods.delete(app_session, gone)
    assert deleted == vods.DeletedVod(("a.mp4", "a.jpg", "a-720.mp4"), "/r/a.mp4")
    left = app_session.execute(sa.text("SELECT vod_id, file_key FROM vod_variants")).all()
    assert [tuple(row) for row in left] == [(stays, "b-720.mp4")]
    assert app_session.scalars(sa.select(Vod.id)).all() == [stays]


def test_recording_whose_tags_are_malformed_is_deleted_as_any_other(app_session: Session) -> None:
    gone = insert(app_session, file_key="a.mp4")
    app_session.execute(sa.text("UPDATE vods SET metatags_json = '{'"))
    app_session.expire_all()
    assert vods.delete(app_session, gone).object_keys == ("a.mp4",)


def test_delete_of_no_recording_raises(app_session: Session) -> None:
    with pytest.raises(UnknownVodError):
        vods.delete(app_session, 7)
