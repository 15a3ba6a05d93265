"""Which apps are in the registry, the global table `apps`: by name, and by tenant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from streamhub_orm.errors import UnknownAppError
from streamhub_orm.global_db import PLATFORM_TENANT, App, GlobalBase

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_APPS: Final = GlobalBase.metadata.tables[App.__tablename__]
_FIND: Final = sa.select(*_APPS.c["id", "name", "tenant_id"]).where(
    _APPS.c.name == sa.bindparam("wanted")
)
_FILE: Final = sa.text("SELECT file FROM pragma_database_list")
_NAMES: Final = sa.select(_APPS.c.name).order_by(_APPS.c.id)


class RegisteredApp(NamedTuple):
    """What others need to know of an app."""

    id: int
    name: str
    tenant_id: str


def owned_by(tenant_id: str) -> sa.ColumnElement[bool]:
    """Return the condition on `App` that an app is the tenant's; one without is the platform's."""
    owned = App.tenant_id == tenant_id
    return owned | App.tenant_id.is_(None) if tenant_id == PLATFORM_TENANT else owned


def get_registered(session: Session, name: str) -> RegisteredApp:
    """Return the app's row in the global database; NULL as its tenant is the platform.

    Raises `UnknownAppError`.
    """
    row = session.execute(_FIND, {"wanted": name}).one_or_none()
    if row is None:
        path = session.scalars(_FILE).one()
        raise UnknownAppError(name, Path(path), list(session.scalars(_NAMES)))
    return RegisteredApp(row.id, row.name, row.tenant_id or PLATFORM_TENANT)
