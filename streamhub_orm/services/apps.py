"""Apps: a row of the registry, and a folder with config.yaml and app.db.

The row is what makes an app. `create` therefore makes the folder within the transaction that
inserts the row, and `delete` removes the row before it touches the folder: whatever is killed in
between leaves a folder that belongs to no app, which the next call takes up.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import sqlalchemy as sa

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.engine.changes import command
from streamhub_orm.errors import (
    AppBusyError,
    AppExistsError,
    DatabaseFileError,
    UnfinishedError,
    UnknownAppError,
    UnknownTenantError,
)
from streamhub_orm.global_db import PLATFORM_TENANT, ApiToken, App, Tenant
from streamhub_orm.registry import find_legacy_files_in
from streamhub_orm.schema import utc_now
from streamhub_orm.services import app_folders
from streamhub_orm.services.core import PointQuery, database_of, get_row, take_turn
from streamhub_orm.settings import load_app_config
from streamhub_orm.settings.core_settings import merged, shown_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.databases import Databases

__all__ = [
    "AppChanges",
    "create",
    "delete",
    "find",
    "get",
    "get_id",
    "give",
    "list_",
    "list_names",
    "making",
    "update",
]

_COUNTED: Final = sa.select(sa.func.count()).select_from(App)
_OWNED: Final = App.tenant_id == sa.bindparam("tenant")
_COUNT: Final = PointQuery(_COUNTED.where(_OWNED), "tenant")
_COUNT_OF_PLATFORM: Final = PointQuery(_COUNTED.where(_OWNED | App.tenant_id.is_(None)), "tenant")
_FIND_ID: Final = sa.select(App.id).where(App.name == sa.bindparam("wanted"))
_LOCK_ID: Final = _FIND_ID.with_for_update(key_share=True)
_NAMES: Final = {"display_name": "display_name", "room_prefix": "livekit_room_prefix"}
"""Keys of config.yaml, and the columns that hold the same."""
_WAIT_SECONDS: Final = 5.0
"""Time that `delete` waits for sessions of this process that are under way on the app."""


class AppChanges(TypedDict, total=False):
    """The columns of an app that can be changed; None empties one."""

    display_name: str | None
    livekit_room_prefix: str | None
    settings_json: dict[str, Any] | None
    node_id: str | None


def create(  # noqa: PLR0913 - what an app is made of
    session: Session,
    place: DataDir,
    name: str,
    *,
    tenant_id: str = PLATFORM_TENANT,
    config: Mapping[str, Any] | None = None,
    reuse_folder: bool = False,
    now: datetime | None = None,
    **fields: Unpack[AppChanges],
) -> App:
    """Make an app as the Node core does: its row, its folder, config.yaml, media folders, app.db.

    All of it, or nothing. Takes a session on the global database, whose write lock is held until
    the session ends, so of two who create the same name one is refused. The app is there when the
    session has committed. Where it does not, or the process is killed, what may stay is a folder
    with an empty app.db, and the next `create` of that name completes it. `config` is laid over the
    core's settings of a new app, or over the config.yaml that lies there, which is kept beside it;
    display name and room prefix stand in it and in the row. Legacy rows of the name are imported as
    at any first opening.

    A folder whose app.db holds rows, such as one that `delete` kept, is taken over only with
    `reuse_folder`, and the app then gets the id that its rows know, where that is free. Raises
    `AppNameError`, `AppExistsError`, `UnknownTenantError`, `AppFolderTakenError`,
    `ConfigFileError`, or a `DatabaseFileError`. The tenant's quota is the caller's affair: call it
    within `streamhub_orm.services.quotas.reserve`.
    """
    require_app_name(name)
    take_turn(session, _turn_of(name))
    if find(session, name) is not None:
        raise AppExistsError(name)
    get_row(session, Tenant, tenant_id, UnknownTenantError)
    moment = now or utc_now()
    app_db = place.app_db(name)
    old_id = app_folders.find_app_id(app_db) if reuse_folder else None
    names = {key: fields.get(column) for key, column in _NAMES.items()}
    settings = {**(config or {}), **{key: it for key, it in names.items() if it is not None}}
    found = load_app_config(place.app_config(name))
    wanted = replace(found, document=merged(found.document, settings))
    columns = dict(zip(_NAMES.values(), shown_names(wanted, name), strict=True))
    app = App(name=name, tenant_id=tenant_id, created_at=moment, updated_at=moment)
    for column, value in {**fields, **columns}.items():
        setattr(app, column, value)
    if old_id is not None and session.get(App, old_id) is None:
        app.id = old_id
    session.add(app)
    session.flush()
    files = find_legacy_files_in(session.connection(), place, name)
    app_folders.make(place, files, settings=settings, reuse_folder=reuse_folder, now=moment)
    return app


@contextmanager
def making(
    place: DataDir, name: str, options: Sequence[str] = (), *, reuse_folder: bool = False
) -> Iterator[None]:
    """Tell a fault of a session in which `create` is called by what it left.

    Its folder may be made though the session did not commit: then `HalfDoneError` names both, and
    the commands that lead on and back, with the `options` of `apps create`.
    """
    require_app_name(name)
    changes = app_folders.watch(
        place,
        name,
        finish=command(place.root, "apps", "create", name, *options),
        undo=command(
            place.root, "apps", "delete", name, *([] if reuse_folder else ["--purge"]), "--yes"
        ),
    )
    with changes.told(place.global_db, "creating an app"):
        yield


def find(session: Session, name: str) -> App | None:
    """Return the app of this name, or None. Takes a session on the global database."""
    return session.scalars(sa.select(App).where(App.name == name)).one_or_none()


def get(session: Session, name: str) -> App:
    """Return the app of this name. Takes a session on the global database.

    Raises `UnknownAppError`, which lists the names that there are.
    """
    app = find(session, name)
    if app is None:
        raise _unknown(session, name)
    return app


def get_id(session: Session, name: str, *, lock: bool = False) -> int:
    """Return the id of an app, whatever else is in its row. Raises as `get` does.

    With `lock`, in a session that writes, nobody else can lock or change the row until it ends.
    """
    statement = _LOCK_ID if lock else _FIND_ID
    app_id = session.scalars(statement, {"wanted": name}).one_or_none()
    if app_id is None:
        raise _unknown(session, name)
    return app_id


def list_(session: Session, tenant_id: str | None = None) -> list[App]:
    """List the apps of a tenant, or all, in the order in which they were made.

    Takes a session on the global database. An app without a tenant is the platform's.
    """
    return list(session.scalars(_of_tenant(sa.select(App), tenant_id)))


def list_names(session: Session, tenant_id: str | None = None) -> list[str]:
    """List the names alone of the apps that `list_` lists."""
    return list(session.scalars(_of_tenant(sa.select(App.name), tenant_id)))


def count(session: Session, tenant_id: str) -> int:
    """Count the apps of a tenant, as `list_` lists them."""
    query = _COUNT_OF_PLATFORM if tenant_id == PLATFORM_TENANT else _COUNT
    row = query.first(session, tenant_id)
    return 0 if row is None else int(row[0])


def update(
    session: Session, name: str, *, now: datetime | None = None, **changes: Unpack[AppChanges]
) -> App:
    """Change what is given of an app; its name never changes, since it is the folder's.

    Takes a session on the global database. Raises `UnknownAppError`.
    """
    app = get(session, name)
    for field, value in changes.items():
        setattr(app, field, value)
    if session.is_modified(app):
        app.updated_at = now or utc_now()
    session.flush()
    return app


def give(session: Session, name: str, tenant_id: str) -> None:
    """Make an app another tenant's, and its tokens with it.

    Takes a session on the global database. Raises `UnknownAppError` and `UnknownTenantError`.
    """
    get_row(session, Tenant, tenant_id, UnknownTenantError)
    app = get(session, name)
    app.tenant_id = tenant_id
    of_app = sa.update(ApiToken).where(ApiToken.app_id == app.id)
    session.execute(of_app.values(tenant_id=tenant_id))
    session.flush()


def delete(databases: Databases, name: str, *, purge: bool = False) -> None:
    """Delete an app from the registry with its tokens; its log lines stay, without the app.

    Its folder is kept as it is, or, with `purge`, removed with all that is in it; objects in a
    store are not touched. A purge that was interrupted is finished by a second call. Raises
    `UnknownAppError`; `AppBusyError` where the app is in use in this process for longer than 5 s,
    or, for a purge, in another one; and `UnfinishedError` for a fault once the row is gone.
    """
    app_db = databases.place.app_db(name)
    _close(databases, name)
    is_left_over = False
    if purge:
        app_folders.require_unused(name, app_db)
        is_left_over = (
            name in app_folders.remove_set_aside(databases.place.apps) or app_db.parent.is_dir()
        )
    sessions = databases.global_session(turn=_turn_of(name))  # after who creates it meanwhile
    sessions.run(_delete_row, name, is_left_over=is_left_over)
    try:
        # Who opened it since the first look is the last one: it is in no registry now.
        _close(databases, name)
        if purge:
            _remove_folder(databases, name)
    except DatabaseFileError as error:
        done = f"The app {name!r} is deleted from the registry, its folder is not."
        todo = "End its sessions; to remove the folder, delete the app again with purge (--purge)."
        raise UnfinishedError(error.path, error, done, todo) from error


def _delete_row(session: Session, name: str, *, is_left_over: bool) -> None:
    app = find(session, name) if is_left_over else get(session, name)
    if app is not None:
        session.delete(app)


def _turn_of(name: str) -> str:
    """Return the turn of those who make or remove the folder of an app."""
    return f"app {name}"


def _unknown(session: Session, name: str) -> UnknownAppError:
    return UnknownAppError(name, database_of(session), list_names(session))


def _of_tenant(statement: sa.Select[Any], tenant_id: str | None) -> sa.Select[Any]:
    statement = statement.order_by(App.id)
    if tenant_id is None:
        return statement
    owned = App.tenant_id == tenant_id
    if tenant_id == PLATFORM_TENANT:
        owned |= App.tenant_id.is_(None)
    return statement.where(owned)


def _remove_folder(databases: Databases, name: str) -> None:
    place = databases.place
    with databases.global_session(turn=_turn_of(name)) as session:  # nobody creates it meanwhile
        session.connection()  # takes the write lock of a file
        if find(session, name) is None:
            app_folders.set_aside(place.app_db(name).parent)
    app_folders.remove_set_aside(place.apps)


def _close(databases: Databases, name: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not databases.close_app(name):
        if time.monotonic() > deadline:
            raise AppBusyError(databases.place.app_db(name), name, "this process")
        time.sleep(0.01)
