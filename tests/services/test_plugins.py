"""The plugins of an app."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import PluginInstalledError, UnknownPluginError
from streamhub_orm.services import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def raw(session: Session, plugin_id: str = "chat") -> dict[str, Any]:
    session.flush()
    found = session.execute(
        sa.text("SELECT * FROM app_plugins WHERE plugin_id = :id"), {"id": plugin_id}
    )
    return dict(found.mappings().one())


def test_installed_plugin_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    plugins.install(app_session, "chat", config={"emotes": True}, now=NOON)
    assert raw(app_session) == {
        "plugin_id": "chat",
        "enabled": 1,
        "config_json": '{"emotes":true}',
        "installed_at": "2026-01-31 12:00:00",
        "updated_at": "2026-01-31 12:00:00",
    }


def test_plugin_is_installed_once(app_session: Session) -> None:
    """A second time would take the settings away."""
    plugins.install(app_session, "chat", config={"emotes": True}, now=NOON)
    before = raw(app_session)
    with pytest.raises(PluginInstalledError, match="chat"):
        plugins.install(app_session, "chat", enabled=False)
    assert raw(app_session) == before


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (plugins.enable, {"enabled": 1}),
        (plugins.disable, {"enabled": 0}),
        (
            lambda session, name, now: plugins.configure(session, name, {"a": 2}, now=now),
            {"config_json": '{"a":2}'},
        ),
        (
            lambda session, name, now: plugins.configure(session, name, None, now=now),
            {"config_json": None},
        ),
    ],
    ids=["enable", "disable", "configure", "clear"],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_change_changes_one_thing_and_its_time(
    app_session: Session, change: Callable[..., None], values: dict[str, Any], *, enabled: bool
) -> None:
    plugins.install(app_session, "chat", config={"a": 1}, enabled=enabled, now=NOON)
    before = raw(app_session)
    change(app_session, "chat", now=LATER)
    assert raw(app_session) == before | {"updated_at": "2026-01-31 13:00:00"} | values


@pytest.mark.parametrize(
    "change",
    [plugins.enable, plugins.disable, lambda s, n: plugins.configure(s, n, {}), plugins.delete],
)
def test_change_of_what_is_not_installed_raises(
    app_session: Session, change: Callable[[Session, str], None]
) -> None:
    with pytest.raises(UnknownPluginError, match="no plugin 'chat'"):
        change(app_session, "chat")


def test_removed_plugin_may_be_installed_anew(app_session: Session) -> None:
    plugins.install(app_session, "chat", config={"a": 1})
    plugins.delete(app_session, "chat")
    assert plugins.find(app_session, "chat") is None
    assert plugins.install(app_session, "chat").config_json is None


def test_plugins_are_listed_by_whether_they_are_enabled(app_session: Session) -> None:
    for name in ("polls", "chat", "ads"):
        plugins.install(app_session, name, enabled=name != "chat")
    names = [
        [plugin.plugin_id for plugin in plugins.list_(app_session, enabled=enabled)]
        for enabled in (None, True, False)
    ]
    assert names == [["ads", "chat", "polls"], ["ads", "polls"], ["chat"]]


def test_settings_stay_out_of_repr(app_session: Session) -> None:
    assert "SECRET" not in repr(plugins.install(app_session, "chat", config={"key": "SECRET"}))
