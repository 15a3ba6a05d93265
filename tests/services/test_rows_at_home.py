"""Services write rows of their session's app, by whatever way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import StreamType
from streamhub_orm.errors import StrayRowError
from streamhub_orm.services import ingress, restream, streams, vods

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

UPSERT = partial(streams.upsert, room="stage", participant="ann", type=StreamType.WHIP)
WRITERS: dict[str, tuple[Callable[..., Any], str]] = {
    "streams": (UPSERT, "app_id"),
    "vods": (partial(vods.create, name="opening"), "app_id"),
    "ingress_auth": (partial(ingress.register, ingress_id="wsi_1"), "app"),
    "restream_targets": (partial(restream.create, room="stage", url="rtmp://x/y"), "app"),
}
HOME, ELSEWHERE = {"app_id": 1, "app": "live"}, {"app_id": 77, "app": "tv-2"}


@pytest.mark.parametrize("table", WRITERS)
@pytest.mark.parametrize("named", [True, False])
def test_new_row_is_of_the_sessions_app(app_session: Session, table: str, *, named: bool) -> None:
    write, column = WRITERS[table]
    write(app_session, **({column: HOME[column]} if named else {}))
    found = app_session.execute(sa.text(f"SELECT {column} FROM {table}")).scalar_one()
    assert found == HOME[column]


@pytest.mark.parametrize("table", WRITERS)
def test_new_row_of_another_app_is_refused(app_session: Session, table: str) -> None:
    write, column = WRITERS[table]
    with app_session.begin_nested(), pytest.raises(StrayRowError) as refused:
        write(app_session, **{column: ELSEWHERE[column]})
    assert refused.value.home == "app 'live'"
    app_session.expunge_all()
    assert app_session.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
