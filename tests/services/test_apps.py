"""Apps: made whole or not at all, deleted with their folder or without it."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.app_db import IngressAuth, Vod
from streamhub_orm.errors import (
    AppBusyError,
    AppExistsError,
    AppFolderTakenError,
    AppNameError,
    ConfigFileError,
    CorruptDatabaseError,
    NotADatabaseError,
    QuotaExceededError,
    UnfinishedError,
    UnknownAppError,
    UnknownTenantError,
)
from streamhub_orm.global_db import ApiToken, App, ServerLog, Tenant, TokenScope
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP
from streamhub_orm.services import apps, streams, vods
from streamhub_orm.services.quotas import Metric, reserve
from streamhub_orm.settings import load_app_config, new_app_settings
from streamhub_orm.settings.core_settings import merged
from streamhub_orm.testing.checks import assert_uses_index
from tests.support.installations.facts import APP_MARKERS
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm import Databases

FILES = ["app.db", "config.yaml", "recordings", "samples", "snapshots"]
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def create(databases: Databases, name: str, **options: object) -> None:
    databases.global_session().run(apps.create, databases.place, name, **options)  # type: ignore[arg-type]


@pytest.fixture
def databases(databases: Databases) -> Databases:
    """The same installation, with a tenant acme that has no app."""
    with databases.global_session() as session:
        session.add(Tenant(id="acme", name="Ácme"))
    return databases


def names(databases: Databases, tenant_id: str | None = None) -> list[str]:
    with databases.global_session(read_only=True) as session:
        return [app.name for app in apps.list_(session, tenant_id)]


def folder_of(databases: Databases, name: str) -> Path:
    return databases.place.apps / name


def put_a_recording(databases: Databases, name: str) -> None:
    with databases.app_session(name) as session:
        session.add(Vod(name="Opening night"))


def test_created_app_has_row_folder_config_and_database_at_head(databases: Databases) -> None:
    """Before anybody opens it, with owner and mode of the global file."""
    create(databases, "tv-2", tenant_id="acme", display_name="Téle 2", config={"a": 1}, now=NOW)
    folder = folder_of(databases, "tv-2")
    assert sorted(it.name for it in folder.iterdir()) == FILES
    found = look_at(folder / "app.db", APP)
    assert (found.state, found.markers) == (State.CURRENT, frozenset(APP_MARKERS))
    assert (folder / "app.db").stat().st_mode == databases.place.global_db.stat().st_mode
    new = {**new_app_settings("tv-2"), "display_name": "Téle 2", "a": 1}
    assert load_app_config(folder / "config.yaml").document == new
    with databases.global_session(read_only=True) as session:
        app = apps.get(session, "tv-2")
        assert (app.tenant_id, app.display_name, app.created_at) == ("acme", "Téle 2", NOW)
    put_a_recording(databases, "tv-2")


def test_created_app_without_settings_gets_those_of_the_core(databases: Databases) -> None:
    """Display name and room prefix stand in the row, too."""
    create(databases, "tv-2")
    found = load_app_config(databases.place.app_config("tv-2")).document
    assert found == new_app_settings("tv-2")
    assert names(databases, "platform") == ["live", "tv-2"]
    with databases.global_session(read_only=True) as session:
        app = apps.get(session, "tv-2")
        assert (app.display_name, app.livekit_room_prefix) == ("tv-2", "tv-2")


def test_settings_of_a_new_app_are_laid_over_those_of_the_core(databases: Databases) -> None:
    create(databases, "tv-2", config={"recording": {"layout": "speaker"}}, livekit_room_prefix="tv")
    found = load_app_config(databases.place.app_config("tv-2")).document
    wanted = {"recording": {"layout": "speaker"}, "room_prefix": "tv"}
    assert found == merged(new_app_settings("tv-2"), wanted)
    with databases.global_session(read_only=True) as session:
        assert apps.get(session, "tv-2").livekit_room_prefix == "tv"


def test_settings_that_are_wrong_make_nothing(databases: Databases) -> None:
    with pytest.raises(ConfigFileError, match=r"a text for recording\.enabled"):
        create(databases, "tv-2", config={"recording": {"enabled": "no"}})
    assert not folder_of(databases, "tv-2").exists()
    assert names(databases) == ["live"]


def test_folder_with_media_and_settings_loses_nothing(databases: Databases) -> None:
    """The core overwrites config.yaml, and deletes the folder where it fails."""
    folder = folder_of(databases, "tv-2")
    (folder / "recordings").mkdir(parents=True)
    (folder / "recordings" / "a.mp4").write_bytes(b"x")
    config = folder / "config.yaml"
    config.write_text("# ours\ndisplay_name: Two\nown: 1\n", encoding="utf-8")
    create(databases, "tv-2", livekit_room_prefix="tv", now=NOW)
    assert (folder / "recordings" / "a.mp4").read_bytes() == b"x"
    assert config.read_text("utf-8") == '# ours\ndisplay_name: Two\nown: 1\nroom_prefix: "tv"\n'
    kept = folder / "config.yaml.bak.20260504T030201000Z"
    assert kept.read_text("utf-8") == "# ours\ndisplay_name: Two\nown: 1\n"
    with databases.global_session(read_only=True) as session:
        app = apps.get(session, "tv-2")
        assert (app.display_name, app.livekit_room_prefix) == ("Two", "tv")


@pytest.mark.parametrize("text", ["a: [1\n", "display_name: 7\n"])
def test_folder_whose_settings_nobody_can_read_is_refused_untouched(
    databases: Databases, text: str
) -> None:
    folder = folder_of(databases, "tv-2")
    folder.mkdir()
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    before = fingerprint_files(folder)
    with pytest.raises(ConfigFileError, match="line"):
        create(databases, "tv-2")
    assert fingerprint_files(folder) == before
    assert names(databases) == ["live"]


def test_media_folder_may_be_a_link_to_another_disk(databases: Databases, tmp_path: Path) -> None:
    folder = folder_of(databases, "tv-2")
    folder.mkdir()
    (folder / "recordings").symlink_to(tmp_path / "not mounted")
    create(databases, "tv-2")
    assert (folder / "recordings").is_symlink()
    assert not (tmp_path / "not mounted").exists()


def test_rows_whose_app_the_core_did_not_find_are_of_the_app(databases: Databases) -> None:
    """Per-app database, "0 when the app row was not found": listed, and no app gets the id 0."""
    create(databases, "tv-2")
    app_db = databases.place.app_db("tv-2")
    with closing(sqlite3.connect(app_db)) as connection, connection:
        connection.execute("INSERT INTO vods (app_id, name, status) VALUES (0, 'Lost', 'ready')")
        columns = "app_id, stream_id, type, room, status"
        connection.execute(
            f"INSERT INTO streams ({columns}) VALUES (0, 'r/p', 'rtmp', 'r', 'active')"
        )
    for _ in range(2):
        with databases.app_session("tv-2") as session:
            (vod,) = vods.list_(session)
            assert (vod.name, vods.get(session, vod.id).app_id) == ("Lost", 0)
            assert [it.stream_id for it in streams.list_active(session)] == ["r/p"]
            session.get_one(Vod, vod.id).room = "r"  # may be changed, and keeps its id
        apps.delete(databases, "tv-2")
        create(databases, "tv-2", reuse_folder=True)
    with databases.global_session(read_only=True) as session:
        assert apps.get_id(session, "tv-2") > 0


@pytest.mark.parametrize("name", ["", "TV", "../tv", "-tv", "tv_2", "a" * 33, "tv\n"])
def test_name_outside_of_the_allow_list_is_refused(databases: Databases, name: str) -> None:
    before = fingerprint_files(databases.place.root)
    with pytest.raises(AppNameError):
        create(databases, name)
    assert fingerprint_files(databases.place.root) == before


def test_name_that_is_taken_is_refused_and_the_app_untouched(databases: Databases) -> None:
    before = fingerprint_files(folder_of(databases, "live"))
    with pytest.raises(AppExistsError, match="'live'"):
        create(databases, "live", config={"a": 1})
    assert fingerprint_files(folder_of(databases, "live")) == before


def test_tenant_that_there_is_not_is_refused(databases: Databases) -> None:
    with pytest.raises(UnknownTenantError, match="nobody"):
        create(databases, "tv-2", tenant_id="nobody")
    assert not folder_of(databases, "tv-2").exists()


def test_create_within_a_reservation_keeps_to_the_plan(databases: Databases) -> None:
    """The free plan has two apps; the third leaves nothing behind."""
    for name in ("tv-2", "tv-3"):
        with reserve(databases, "acme", Metric.APPS) as session:
            apps.create(session, databases.place, name, tenant_id="acme")
    with (
        pytest.raises(QuotaExceededError),
        reserve(databases, "acme", Metric.APPS) as session,
    ):
        apps.create(session, databases.place, "tv-4", tenant_id="acme")
    assert names(databases, "acme") == ["tv-2", "tv-3"]
    assert not folder_of(databases, "tv-4").exists()


def test_two_creating_the_same_name_at_once_make_one_app(databases: Databases) -> None:
    """The second waits for the first, and is refused."""
    outcomes: list[str] = []

    def run() -> None:
        try:
            create(databases, "tv-2")
        except AppExistsError:
            outcomes.append("refused")
        else:
            outcomes.append("made")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]
    assert names(databases) == ["live", "tv-2"]


def test_create_whose_config_cannot_be_written_leaves_nothing(databases: Databases) -> None:
    """The database was made before; it goes again, with the folder and the row."""
    with pytest.raises(ConfigFileError, match="plain values"):
        create(databases, "tv-2", config={"bad": object()})
    assert not folder_of(databases, "tv-2").exists()
    assert names(databases) == ["live"]


def test_create_whose_database_cannot_be_made_leaves_nothing(databases: Databases) -> None:
    """A stray -wal lies where the database should: not ours to remove."""
    folder_of(databases, "tv-2").mkdir()
    (folder_of(databases, "tv-2") / "app.db-wal").write_bytes(b"rows")
    with pytest.raises(CorruptDatabaseError, match=r"app\.db-wal"):
        create(databases, "tv-2")
    assert [it.name for it in folder_of(databases, "tv-2").iterdir()] == ["app.db-wal"]
    assert names(databases) == ["live"]


def test_create_in_a_session_that_fails_later_is_completed_by_the_next_one(
    databases: Databases,
) -> None:
    """What stays is a folder of no app, whose database holds no row."""

    def fail() -> None:
        with databases.global_session() as session:
            apps.create(session, databases.place, "tv-2", config={"a": 1})
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the very one
        fail()
    assert names(databases) == ["live"]
    create(databases, "tv-2", config={"b": 2})
    found = load_app_config(databases.place.app_config("tv-2")).document
    assert found == {**new_app_settings("tv-2"), "a": 1, "b": 2}
    put_a_recording(databases, "tv-2")


def test_folder_of_a_kept_app_is_taken_over_only_when_asked(databases: Databases) -> None:
    """Its rows and its settings are there again."""
    create(databases, "tv-2", config={"a": 1})
    put_a_recording(databases, "tv-2")
    apps.delete(databases, "tv-2")
    with pytest.raises(AppFolderTakenError) as caught:
        create(databases, "tv-2")
    assert caught.value.rows == 1
    assert names(databases) == ["live"]
    create(databases, "tv-2", reuse_folder=True)
    with databases.app_session("tv-2", read_only=True) as session:
        assert session.scalars(sa.select(Vod.name)).all() == ["Opening night"]
    assert load_app_config(databases.place.app_config("tv-2")).document["a"] == 1


def test_app_that_is_taken_over_has_the_id_that_its_rows_know(databases: Databases) -> None:
    """Made and deleted in between, other apps do not get it; one that has it keeps it."""
    create(databases, "tv-2")
    put_a_recording(databases, "tv-2")
    apps.delete(databases, "tv-2")
    create(databases, "tv-3")
    create(databases, "tv-2", reuse_folder=True)
    with databases.global_session() as session:
        found = {app.name: app.id for app in apps.list_(session)}
        assert found == {"live": 1, "tv-2": 2, "tv-3": 3}
        apps.get(session, "tv-3").name = "tv-4"
    with databases.app_session("tv-2") as session:
        session.execute(sa.update(Vod).values(app_id=3))
    apps.delete(databases, "tv-2")
    create(databases, "tv-2", reuse_folder=True)
    with databases.global_session(read_only=True) as session:
        assert apps.get(session, "tv-2").id == 4


def test_look_ups_use_their_index(databases: Databases) -> None:
    with databases.global_session(read_only=True) as session:
        assert_uses_index(session, lambda: apps.find(session, "live"), "uq_apps_name")
        assert_uses_index(session, lambda: apps.list_(session, "acme"), "idx_apps_tenant")
        assert_uses_index(session, lambda: apps.list_(session, "platform"))


def test_folder_that_is_a_link_out_of_apps_is_refused(databases: Databases, tmp_path: Path) -> None:
    """Neither made nor purged through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.db").write_bytes(b"")
    folder_of(databases, "tv-2").symlink_to(outside)
    with pytest.raises(NotADatabaseError, match=r"a link: .*outside"):
        create(databases, "tv-2")
    with pytest.raises(NotADatabaseError, match=r"a link: .*outside"):
        apps.delete(databases, "tv-2", purge=True)
    assert [it.name for it in outside.iterdir()] == ["app.db"]


@pytest.mark.files
def test_create_brings_legacy_rows_of_the_name(databases: Databases) -> None:
    """As the first opening of a registered app does: no row is lost."""
    with closing(sqlite3.connect(databases.place.global_db)) as connection, connection:
        connection.execute("INSERT INTO ingress_auth (ingress_id, app) VALUES ('in-1', 'tv-2')")
    create(databases, "tv-2")
    with databases.app_session("tv-2", read_only=True) as session:
        assert session.scalars(sa.select(IngressAuth.ingress_id)).all() == ["in-1"]


@pytest.mark.files
def test_id_is_found_whatever_else_is_in_the_row(databases: Databases) -> None:
    with databases.global_session() as session:
        session.execute(sa.text("UPDATE apps SET created_at = 'x', settings_json = '['"))
        assert apps.get_id(session, "live") == 1
        with pytest.raises(UnknownAppError, match=r"streamhub\.db.*no app 'nope'"):
            apps.get_id(session, "nope")


def test_apps_are_listed_by_tenant(databases: Databases) -> None:
    """An app without a tenant, as before tenancy, is the platform's."""
    create(databases, "tv-2", tenant_id="acme")
    create(databases, "tv-3")
    with databases.global_session() as session:
        apps.get(session, "tv-3").tenant_id = None
    assert names(databases) == ["live", "tv-2", "tv-3"]
    assert names(databases, "acme") == ["tv-2"]
    assert names(databases, "platform") == ["live", "tv-3"]
    assert names(databases, "nobody") == []


def test_get_of_an_unknown_app_names_those_that_are_like_it(databases: Databases) -> None:
    create(databases, "tv-3")
    with databases.global_session(read_only=True) as session:
        assert apps.find(session, "tv-2") is None
        with pytest.raises(UnknownAppError, match=r"no app 'tv-2' .*\(similar names: tv-3\)"):
            apps.get(session, "tv-2")


def test_update_changes_what_is_given(databases: Databases) -> None:
    create(databases, "tv-2", display_name="Two", livekit_room_prefix="tv2-")
    with databases.global_session() as session:
        apps.update(session, "tv-2", display_name=None, now=NOW)
    with databases.global_session(read_only=True) as session:
        app = apps.get(session, "tv-2")
        assert (app.display_name, app.livekit_room_prefix) == (None, "tv2-")
        assert app.updated_at == NOW


def test_update_without_a_change_writes_nothing(databases: Databases) -> None:
    create(databases, "tv-2", display_name="Two", now=NOW)
    with databases.global_session() as session:
        apps.update(session, "tv-2", display_name="Two")
        assert apps.get(session, "tv-2").updated_at == NOW


def give_a_token_and_a_log_line(databases: Databases, name: str) -> None:
    with databases.global_session() as session:
        app = apps.get(session, name)
        session.add(ApiToken(name="t", token_hash="h", scope=TokenScope.APP, app_id=app.id))  # noqa: S106
        session.add(ServerLog(level="info", app_id=app.id, message="hello"))


@pytest.mark.parametrize("purge", [False, True])
def test_deleted_app_takes_its_tokens_with_it_and_leaves_its_log_lines(
    databases: Databases, *, purge: bool
) -> None:
    create(databases, "tv-2")
    give_a_token_and_a_log_line(databases, "tv-2")
    give_a_token_and_a_log_line(databases, "live")
    apps.delete(databases, "tv-2", purge=purge)
    with databases.global_session(read_only=True) as session:
        assert session.scalars(sa.select(App.name)).all() == ["live"]
        assert session.scalar(sa.select(sa.func.count()).select_from(ApiToken)) == 1
        assert session.scalars(sa.select(ServerLog.app_id).order_by(ServerLog.id)).all() == [
            None,
            1,
        ]


def test_deleted_app_that_is_kept_keeps_every_byte_and_cannot_be_opened(
    databases: Databases,
) -> None:
    create(databases, "tv-2")
    put_a_recording(databases, "tv-2")
    databases.close_app("tv-2")
    before = fingerprint_files(folder_of(databases, "tv-2"))
    apps.delete(databases, "tv-2")
    assert fingerprint_files(folder_of(databases, "tv-2")) == before
    with pytest.raises(UnknownAppError), databases.app_session("tv-2"):
        pytest.fail("it is not registered")


def test_purged_app_leaves_no_file(databases: Databases) -> None:
    """Although its engine was open, with a -wal; media go too."""
    create(databases, "tv-2")
    put_a_recording(databases, "tv-2")
    (folder_of(databases, "tv-2") / "recordings" / "a.mp4").write_bytes(b"x")
    assert (folder_of(databases, "tv-2") / "app.db-wal").exists()
    apps.delete(databases, "tv-2", purge=True)
    assert [it.name for it in databases.place.apps.iterdir()] == ["live"]
    with pytest.raises(UnknownAppError), databases.app_session("tv-2"):
        pytest.fail("it is not registered")
    create(databases, "tv-2")
    with databases.app_session("tv-2", read_only=True) as session:
        assert session.scalars(sa.select(Vod.name)).all() == []


def test_delete_of_an_unknown_app_is_refused(databases: Databases) -> None:
    for purge in (False, True):
        with pytest.raises(UnknownAppError):
            apps.delete(databases, "tv-2", purge=purge)


def test_app_in_use_in_this_process_is_not_deleted(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "_WAIT_SECONDS", 0.1)
    create(databases, "tv-2")
    for purge in (False, True):
        with databases.app_session("tv-2") as session:
            session.connection()
            with pytest.raises(AppBusyError, match="this process"):
                apps.delete(databases, "tv-2", purge=purge)
            session.add(Vod(app_id=2, name="Still here"))
    assert names(databases) == ["live", "tv-2"]


def test_delete_waits_for_a_session_that_ends_soon(databases: Databases) -> None:
    create(databases, "tv-2")
    began, ended = threading.Event(), threading.Event()

    def work() -> None:
        with databases.app_session("tv-2") as session:
            session.add(Vod(app_id=2, name="The last one"))
            session.flush()
            began.set()
            ended.wait(0.2)

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    apps.delete(databases, "tv-2", purge=True)
    thread.join()
    assert not folder_of(databases, "tv-2").exists()


def test_delete_of_an_app_that_is_being_created_waits_and_deletes_it(databases: Databases) -> None:
    """Else the folder of an app would go whose row stays, or the row of one whose folder does."""
    with ThreadPoolExecutor(1) as threads:
        with databases.global_session() as session:
            apps.create(session, databases.place, "tv-9")
            deleting = threads.submit(apps.delete, databases, "tv-9", purge=True)
            time.sleep(0.3)
            assert not deleting.done()
            assert folder_of(databases, "tv-9").is_dir()
        deleting.result(10)
    assert names(databases) == ["live"]
    assert not folder_of(databases, "tv-9").exists()


def test_app_that_is_open_elsewhere_is_not_purged_and_can_be_deleted(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection that only reads, such as the Node core's, is seen."""
    monkeypatch.setattr("streamhub_orm.engine.connections.BUSY_TIMEOUT_SECONDS", 0.1)
    create(databases, "tv-2")
    with closing(sqlite3.connect(folder_of(databases, "tv-2") / "app.db")) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT count(*) FROM vods").fetchone()
        with pytest.raises(AppBusyError, match="another process"):
            apps.delete(databases, "tv-2", purge=True)
        assert names(databases) == ["live", "tv-2"]
        assert other.execute("SELECT count(*) FROM vods").fetchone() == (0,)
        apps.delete(databases, "tv-2")
    assert names(databases) == ["live"]


def test_purge_of_a_damaged_database_works(databases: Databases) -> None:
    create(databases, "tv-2")
    databases.close_app("tv-2")
    (folder_of(databases, "tv-2") / "app.db").write_bytes(b"no database" * 1000)
    apps.delete(databases, "tv-2", purge=True)
    assert [it.name for it in databases.place.apps.iterdir()] == ["live"]


def test_purge_of_what_an_interrupted_purge_left_finishes_it(databases: Databases) -> None:
    """The row is gone, the folder is not; and one that was set aside goes with it."""
    create(databases, "tv-2")
    apps.delete(databases, "tv-2")
    aside = databases.place.apps / ".tv-3.0123abcd.deleted"
    aside.mkdir()
    (aside / "app.db").write_bytes(b"")
    assert list(databases.place.unregistered({"live"})) == ["tv-2"]
    apps.delete(databases, "tv-2", purge=True)
    assert [it.name for it in databases.place.apps.iterdir()] == ["live"]


def test_delete_that_stops_after_the_row_is_gone_does_not_say_that_nothing_was_touched(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody opened the app between the first look and the end of the row."""
    create(databases, "tv-9")
    monkeypatch.setattr(apps, "_WAIT_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as threads:
        with ExitStack() as held:
            with databases.global_session() as session:
                apps.get_id(session, "tv-9", lock=True)  # the row cannot go yet
                deleting = threads.submit(apps.delete, databases, "tv-9", purge=True)
                time.sleep(0.5)
                held.enter_context(databases.app_session("tv-9", read_only=True))
            with pytest.raises(UnfinishedError, match="deleted from the registry") as caught:
                deleting.result()
        assert caught.value.exit_code == 1
    with databases.global_session(read_only=True) as session:
        assert apps.find(session, "tv-9") is None
    apps.delete(databases, "tv-9", purge=True)
    assert not databases.place.app_folder("tv-9").exists()
