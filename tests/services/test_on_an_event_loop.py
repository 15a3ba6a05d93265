"""The same functions on an event loop: `await session.run_sync(function, …)`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamhub_orm.aio import AsyncDatabases
from streamhub_orm.app_db import StreamType, VodStatus
from streamhub_orm.init import make_installation as init
from streamhub_orm.services import streams, vods

if TYPE_CHECKING:
    from pathlib import Path


def test_services_of_an_app_run_on_an_event_loop(tmp_path: Path) -> None:
    """Also those that go to the driver's cursor."""

    async def run() -> None:
        async with AsyncDatabases(init(tmp_path / "data").root) as databases:
            async with databases.app_session("live") as session:
                row_id = await session.run_sync(
                    streams.upsert, room="stage", participant="ann", type=StreamType.WHIP
                )
                changed = await session.run_sync(streams.reconcile, "stage", [])
                vod = await session.run_sync(
                    vods.create, name="opening", metatags_json={"egressId": "EG_1"}
                )
                await session.run_sync(vods.set_status, vod.id, VodStatus.UPLOADING)
                found = await session.run_sync(vods.find_by_egress, "EG_1")
            async with databases.app_session("live", read_only=True) as session:
                page = await session.run_sync(vods.list_)
        assert row_id == 1
        assert changed.ended == ["stage/ann"]
        assert found is not None
        assert found.status is VodStatus.UPLOADING
        assert page == [found]

    asyncio.run(run())
