"""The plugins of an app. Every session is the app's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from streamhub_orm.app_db import AppPlugin
from streamhub_orm.errors import PluginInstalledError, UnknownPluginError
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session


def install_plugin(
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


def find_plugin(session: Session, plugin_id: str) -> AppPlugin | None:
    """Return a plugin of the app, enabled or not."""
    return session.get(AppPlugin, plugin_id)


def enable_plugin(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Enable a plugin; raises `UnknownPluginError` where it is not installed."""
    _change(session, plugin_id, now, enabled=True)


def disable_plugin(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Disable a plugin and keep its settings; raises `UnknownPluginError`."""
    _change(session, plugin_id, now, enabled=False)


def configure_plugin(
    session: Session,
    plugin_id: str,
    config: dict[str, Any] | None,
    *,
    now: datetime | None = None,
) -> None:
    """Replace a plugin's settings; raises `UnknownPluginError`."""
    _change(session, plugin_id, now, config_json=config)


def _change(session: Session, plugin_id: str, now: datetime | None, **values: object) -> None:
    plugin = _get(session, plugin_id)
    for name, value in (values | {"updated_at": now or utc_now()}).items():
        setattr(plugin, name, value)
    session.flush()


def remove_plugin(session: Session, plugin_id: str) -> None:
    """Remove a plugin and its settings; raises `UnknownPluginError`."""
    session.delete(_get(session, plugin_id))
    session.flush()


def list_plugins(session: Session, *, enabled: bool | None = None) -> Sequence[AppPlugin]:
    """Return the app's plugins by id: all, or those that are enabled, or those that are not."""
    statement = sa.select(AppPlugin).order_by(AppPlugin.plugin_id)
    if enabled is not None:
        statement = statement.where(AppPlugin.enabled == enabled)
    return session.scalars(statement).all()


def _get(session: Session, plugin_id: str) -> AppPlugin:
    plugin = session.get(AppPlugin, plugin_id)
    if plugin is None:
        raise UnknownPluginError(plugin_id)
    return plugin
