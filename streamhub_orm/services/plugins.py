"""The plugins of an app. Every session is the app's.

A plugin's settings are all there from the start, since the Node core refuses the whole list of an
app's plugins for a key that it does not know. They may hold secrets in clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.app_db import AppPlugin
from streamhub_orm.errors import PluginInstalledError, StoredValueError, UnknownPluginError
from streamhub_orm.schema import utc_now
from streamhub_orm.services.core import get_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = [
    "KNOWN",
    "configure",
    "delete",
    "disable",
    "enable",
    "find",
    "install",
    "list_",
]

KNOWN: Final = (
    *("cockpit", "deface", "quality", "radio"),
    *("streaming", "timestamp", "watermark", "yolo"),
)
"""Ids of the plugins that the Node core knows; it ignores rows of others."""


def install(
    session: Session,
    plugin_id: str,
    *,
    config: dict[str, Any],
    enabled: bool = False,
    now: datetime | None = None,
) -> AppPlugin:
    """Add a plugin to the app, with all its settings at their defaults, and not enabled.

    Raises `PluginInstalledError` where it is there already, `StoredValueError` for an id that is
    not `KNOWN`.
    """
    if plugin_id not in KNOWN:
        expected = f"one of {', '.join(KNOWN)}"
        raise StoredValueError(expected, plugin_id)
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
    """Return a plugin of the app, enabled or not, `KNOWN` or not."""
    return session.get(AppPlugin, plugin_id)


def enable(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Enable a plugin; raises `UnknownPluginError` where it is not installed."""
    _change(session, plugin_id, now, enabled=True)


def disable(session: Session, plugin_id: str, *, now: datetime | None = None) -> None:
    """Disable a plugin and keep its settings; raises `UnknownPluginError`."""
    _change(session, plugin_id, now, enabled=False)


def configure(
    session: Session, plugin_id: str, changes: dict[str, Any], *, now: datetime | None = None
) -> None:
    """Change some of a plugin's settings.

    Raises `UnknownPluginError`, `StoredValueError` for a key that its settings lack, and
    `HiddenValueError` where the stored ones are malformed; then install it anew.
    """
    stored = get_row(session, AppPlugin, plugin_id, UnknownPluginError).config_json
    unknown = [] if stored is None else sorted(changes.keys() - stored.keys())
    if unknown:
        expected = "keys that the settings of the plugin have"
        raise StoredValueError(expected, unknown)
    _change(session, plugin_id, now, config_json={**(stored or {}), **changes})


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
    """Return the app's plugins by id: all, or those that are enabled, or those that are not.

    Rows of ids that are not `KNOWN` are left out, as the Node core does; `find` and `delete` reach
    them. Malformed settings raise `HiddenValueError` where they are used, and hide no other row.
    """
    known = AppPlugin.plugin_id.in_(KNOWN)
    statement = sa.select(AppPlugin).where(known).order_by(AppPlugin.plugin_id)
    if enabled is not None:
        statement = statement.where(AppPlugin.enabled == enabled)
    return list(session.scalars(statement))
