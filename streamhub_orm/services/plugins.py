"""The plugins of an app. Every session is the app's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from streamhub_orm.app_db import AppPlugin
from streamhub_orm.errors import PluginInstalledError, UnknownPluginError
from streamhub_orm.schema import utc_now
from streamhub_orm.services.core import get_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "configure",
    "delete",
    "disable",
    "enable",
    "find",
    "install",
    "list_",
]


def install(
    session: Session,
    plugin_id: str,
    *,
    config: dict[str, Any] | None = None,
    enabled: bool = True,
    now: datetime | None = None,
) -> AppPlugin:
    """Add a plugin to the app; raises `PluginInstalledError` where it is there already."""
    if session.get(AppPlugin, plugin_id) is not None:
        raise PluginInstalledError(plugin_id)
    moment = now or utc_now()
    plugin = AppPlugin(
        plugin_id=plugin_id,
        enabled=enabled,
        config_json=config,
        installed_at=moment,
        updated_at=moment,
    )
    session.add(plugin)
    session.flush()
    return plugin


def find(session: Session, plugin_id: str) -> AppPlugin | None:
    """Return a plugin of the app, enabled or not."""
    return session.get(AppPlugin, plugin_id)


def enable(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Enable a plugin; raises `UnknownPluginError` where it is not installed."""
    _change(session, plugin_id, now, enabled=True)


def disable(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Disable a plugin and keep its settings; raises `UnknownPluginError`."""
    _change(session, plugin_id, now, enabled=False)


def configure(
    session: Session,
    plugin_id: str,
    config: dict[str, Any] | None,
    *,
    now: datetime | None = None,
) -> None:
    """Replace a plugin's settings; raises `UnknownPluginError`."""
    _change(session, plugin_id, now, config_json=config)


def _change(session: Session, plugin_id: str, now: datetime | None, **values: object) -> None:
    plugin = get_row(session, AppPlugin, plugin_id, UnknownPluginError)
    for name, value in (values | {"updated_at": now or utc_now()}).items():
        setattr(plugin, name, value)
    session.flush()


def delete(session: Session, plugin_id: str) -> None:
    """Remove a plugin and its settings; raises `UnknownPluginError`."""
    session.delete(get_row(session, AppPlugin, plugin_id, UnknownPluginError))
    session.flush()


def list_(session: Session, *, enabled: bool | None = None) -> list[AppPlugin]:
    """Return the app's plugins by id: all, or those that are enabled, or those that are not."""
    statement = sa.select(AppPlugin).order_by(AppPlugin.plugin_id)
    if enabled is not None:
        statement = statement.where(AppPlugin.enabled == enabled)
    return list(session.scalars(statement))
