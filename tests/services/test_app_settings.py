"""The settings of an app through its services: file and row say the same."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    ConfigFileError,
    IrregularFileError,
    UnknownAppError,
    UnknownPresetError,
)
from streamhub_orm.services import app_settings, apps
from streamhub_orm.settings import load_app_config, new_app_settings
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm import Databases

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def names_of(databases: Databases) -> tuple[str | None, str | None]:
    with databases.global_session(read_only=True) as session:
        app = apps.get(session, "live")
        return app.display_name, app.livekit_room_prefix


def test_settings_are_read_changed_and_reverted(databases: Databases) -> None:
    place = databases.place
    with databases.global_session() as session:
        changes = {"display_name": "Stage", "recording": {"layout": "speaker"}}
        edited = app_settings.change(session, place, "live", changes, now=NOW)
        assert app_settings.read(session, place, "live")["recording"]["layout"] == "speaker"
    assert names_of(databases) == ("Stage", "live")
    with databases.global_session() as session:
        assert edited.backup is not None
        assert app_settings.list_backups(session, place, "live") == [edited.backup.name]
        app_settings.revert(session, place, "live", edited.backup.name)
    assert names_of(databases) == ("Live", "live")
    assert load_app_config(place.app_config("live")).document == new_app_settings("live")


def test_whole_text_and_preset_reach_the_row(databases: Databases) -> None:
    """config.yaml, "Reload copies display_name and room_prefix into `apps`"."""
    place = databases.place
    with databases.global_session() as session:
        text = b"display_name: Stage\nroom_prefix: st\n"
        app_settings.write(session, place, "live", text, now=NOW)
        app_settings.apply_preset(session, place, "live", "low-latency")
    assert names_of(databases) == ("Stage", "st")
    with databases.global_session() as session:
        assert apps.get(session, "live").updated_at == NOW


def test_reload_brings_the_row_up_to_a_file_that_an_operator_wrote(databases: Databases) -> None:
    """What the file does not say has the core's default."""
    databases.place.app_config("live").write_text("room_prefix: x\n", encoding="utf-8")
    with databases.global_session() as session:
        app_settings.reload(session, databases.place, "live")
    assert names_of(databases) == ("Live", "x")


def test_reload_of_the_same_names_writes_nothing(databases: Databases) -> None:
    with databases.global_session() as session:
        before = apps.get(session, "live").updated_at
        app_settings.reload(session, databases.place, "live")
        assert not session.dirty
        assert apps.get(session, "live").updated_at == before


def test_edits_of_an_unknown_app_are_refused(databases: Databases) -> None:
    """A folder that is not registered is not touched."""
    (databases.place.apps / "tv-2").mkdir()
    before = fingerprint_files(databases.place.root)
    with databases.global_session() as session:
        for call in (app_settings.read, app_settings.list_backups):
            with pytest.raises(UnknownAppError):
                call(session, databases.place, "tv-2")
        with pytest.raises(UnknownAppError):
            app_settings.change(session, databases.place, "tv-2", {"a": 1})
    assert fingerprint_files(databases.place.root) == before


@pytest.mark.parametrize(
    ("text", "display_name"), [("s3: media\n", "Live"), ("webrtc: 1\n", "Live"), ("a: [", "Live")]
)
def test_refused_edit_changes_neither_file_nor_row(
    databases: Databases, text: str, display_name: str
) -> None:
    before = fingerprint_files(databases.place.app_db("live").parent)
    with pytest.raises(ConfigFileError), databases.global_session() as session:
        app_settings.write(session, databases.place, "live", text.encode())
    with pytest.raises(UnknownPresetError), databases.global_session() as session:
        app_settings.apply_preset(session, databases.place, "live", "slow")
    assert fingerprint_files(databases.place.app_db("live").parent) == before
    assert names_of(databases)[0] == display_name


def test_config_that_is_a_link_is_refused(databases: Databases, tmp_path: Path) -> None:
    path = databases.place.app_config("live")
    path.rename(tmp_path / "config.yaml")
    path.symlink_to(tmp_path / "config.yaml")
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(IrregularFileError), databases.global_session() as session:
        app_settings.change(session, databases.place, "live", {"a": 1})
    assert (tmp_path / "config.yaml").read_bytes() == before


def test_two_who_change_one_file_at_once_lose_nothing(databases: Databases) -> None:
    """The write lock of the global database orders them, or the lock of the app's row."""

    def work(number: int) -> None:
        changes = {"own": {f"k{number}": number}}
        databases.global_session().run(app_settings.change, databases.place, "live", changes)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load_app_config(databases.place.app_config("live")).document
    assert found["own"] == {f"k{number}": number for number in range(8)}
