"""Functions that the tests of the loop run on sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from streamhub_orm.app_db import Vod

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.aio import AsyncDatabases


def add(session: Session, name: str) -> int:
    vod = Vod(name=name)
    session.add(vod)
    session.flush()
    return vod.id


def names(session: Session) -> list[str | None]:
    return list(session.scalars(sa.select(Vod.name).order_by(Vod.id)))


async def read(databases: AsyncDatabases, app: str = "live") -> list[str | None]:
    return await databases.app_session(app, read_only=True).run(names)
