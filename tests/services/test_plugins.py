"""The plugins of an app."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    HiddenValueError,
    PluginInstalledError,
    StoredValueError,
    UnknownPluginError,
)
from streamhub_orm.services import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def raw(session: Session, plugin_id: str = "radio") -> dict[str, Any]:
    session.flush()
    found = session.execute(
        sa.text("SELECT * FROM app_plugins WHERE plugin_id = :id"), {"id": plugin_id}
    )
    return dict(found.mappings().one())


def test_installed_plugin_is_stored_as_the_node_core_stores_it(app_session: Session) -> None:
    plugins.install(app_session, "radio", config={"emotes": True}, now=NOON)
    assert raw(app_session) == {
        "plugin_id": "radio",
        "enabled": 0,
        "config_json": '{"emotes":true}',
        "installed_at": "2026-01-31 12:00:00",
        "updated_at": "2026-01-31 12:00:00",
    }


def test_plugin_is_installed_once(app_session: Session) -> None:
    """A second time would take the settings away."""
    plugins.install(app_session, "radio", config={"emotes": True}, now=NOON)
    before = raw(app_session)
    with pytest.raises(PluginInstalledError, match="radio"):
        plugins.install(app_session, "radio", config={}, enabled=True)
    assert raw(app_session) == before


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (plugins.enable, {"enabled": 1}),
        (plugins.disable, {"enabled": 0}),
        (
            lambda session, name, now: plugins.configure(session, name, {"a": 2}, now=now),
            {"config_json": '{"a":2,"b":[1]}'},
        ),
        (
            lambda session, name, now: plugins.configure(session, name, {}, now=now),
            {"config_json": '{"a":1,"b":[1]}'},
        ),
    ],
    ids=["enable", "disable", "configure", "nothing"],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_change_changes_one_thing_and_its_time(
    app_session: Session, change: Callable[..., None], values: dict[str, Any], *, enabled: bool
) -> None:
    plugins.install(app_session, "radio", config={"a": 1, "b": [1]}, enabled=enabled, now=NOON)
    before = raw(app_session)
    change(app_session, "radio", now=LATER)
    assert raw(app_session) == before | {"updated_at": "2026-01-31 13:00:00"} | values


@pytest.mark.parametrize(
    "change",
    [plugins.enable, plugins.disable, lambda s, n: plugins.configure(s, n, {}), plugins.delete],
)
def test_change_of_what_is_not_installed_raises(
    app_session: Session, change: Callable[[Session, str], None]
) -> None:
    with pytest.raises(UnknownPluginError, match="no plugin 'radio'"):
        change(app_session, "radio")


def test_removed_plugin_may_be_installed_anew(app_session: Session) -> None:
    plugins.install(app_session, "radio", config={"a": 1})
    plugins.delete(app_session, "radio")
    assert plugins.find(app_session, "radio") is None
    assert plugins.install(app_session, "radio", config={}).config_json == {}


def test_plugins_are_listed_by_whether_they_are_enabled(app_session: Session) -> None:
    for name in ("yolo", "radio", "cockpit"):
        plugins.install(app_session, name, config={}, enabled=name != "radio")
    names = [
        [plugin.plugin_id for plugin in plugins.list_(app_session, enabled=enabled)]
        for enabled in (None, True, False)
    ]
    assert names == [["cockpit", "radio", "yolo"], ["cockpit", "yolo"], ["radio"]]


def test_plugins_that_the_core_does_not_know_are_not_installed_and_not_listed(
    app_session: Session,
) -> None:
    """Schema reference, plugins: others are ignored. Their rows stay until they are deleted."""
    known = "cockpit deface quality radio streaming timestamp watermark yolo"
    for name in known.split(" "):
        plugins.install(app_session, name, config={})
    for wrong in ("chat", "Radio", "", None):
        with pytest.raises(StoredValueError, match="one of cockpit, deface"):
            plugins.install(app_session, wrong, config={})  # type: ignore[arg-type]
    app_session.execute(sa.text("INSERT INTO app_plugins (plugin_id) VALUES ('chat')"))
    assert [it.plugin_id for it in plugins.list_(app_session)] == list(plugins.KNOWN)
    assert plugins.find(app_session, "chat") is not None
    plugins.delete(app_session, "chat")
    assert plugins.find(app_session, "chat") is None


def test_setting_that_would_break_the_core_s_list_is_refused(app_session: Session) -> None:
    """Schema reference, plugins: an unknown key in config_json breaks the app's plugin list."""
    plugins.install(app_session, "radio", config={"a": 1}, now=NOON)
    before = raw(app_session, "radio")
    with pytest.raises(StoredValueError, match="keys that the settings of the plugin have"):
        plugins.configure(app_session, "radio", {"a": 2, "b": 3})
    assert raw(app_session, "radio") == before


def test_malformed_settings_are_an_error_of_their_row_alone(app_session: Session) -> None:
    for name in ("quality", "radio"):
        plugins.install(app_session, name, config={"a": 1})
    spoil = "UPDATE app_plugins SET config_json = '{\"SECRET' WHERE plugin_id = 'quality'"
    app_session.execute(sa.text(spoil))
    app_session.expire_all()
    bad, good = plugins.list_(app_session)
    assert (good.config_json, bad.enabled) == ({"a": 1}, False)
    for use in (
        lambda: dict(bad.config_json or {}),
        lambda: plugins.configure(app_session, "quality", {"a": 2}),
    ):
        with pytest.raises(HiddenValueError, match="JSON text in config_json") as raised:
            use()
        assert "SECRET" not in str(raised.value)
    assert raw(app_session, "quality")["config_json"] == '{"SECRET'
    plugins.disable(app_session, "quality")
    plugins.delete(app_session, "quality")


def test_settings_stay_out_of_repr(app_session: Session) -> None:
    assert "SECRET" not in repr(plugins.install(app_session, "radio", config={"key": "SECRET"}))
