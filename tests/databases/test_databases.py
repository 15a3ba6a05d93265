"""`Databases`: a database is made, adopted, filled and upgraded when it is first asked for."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.errors import (
    AppNameError,
    DatabasesClosedError,
    DataDirError,
    NewerDatabaseError,
    NotADatabaseError,
    SchemaOutdatedError,
    UnknownAppError,
)
from streamhub_orm.global_db import App
from streamhub_orm.migrations.downgrading import downgrade_file
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.support.installations.facts import APP_MARKERS
from tests.support.installations.snapshot import fingerprint_files, load_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.databases.conftest import MakeFresh


def names_of_vods(databases: Databases, app: str) -> list[str]:
    with databases.app_session(app, read_only=True) as session:
        return list(session.scalars(sa.select(Vod.name).order_by(Vod.id)))


def app_db(data_dir: Path, app: str) -> Path:
    return data_dir / "apps" / app / "app.db"


def test_open_of_a_registered_app_without_a_file_makes_it_at_head(make_fresh: MakeFresh) -> None:
    """The file has the global file's mode, and every marker; beside it is what the core makes."""
    data_dir = make_fresh(["tv-2"])
    with Databases(data_dir) as databases:
        assert names_of_vods(databases, "tv-2") == []
    path = app_db(data_dir, "tv-2")
    names = sorted(it.name for it in path.parent.iterdir())
    assert names == ["app.db", "config.yaml", "recordings", "samples", "snapshots"]
    found = look_at(path, APP)
    assert (found.state, found.markers) == (State.CURRENT, frozenset(APP_MARKERS))
    assert path.stat().st_mode == databases.place.global_db.stat().st_mode


@pytest.mark.parametrize("name", ["tv-2", "TV", "../live", "", "live/../live", "a" * 33])
def test_open_of_an_unregistered_app_is_refused_and_makes_nothing(
    make_fresh: MakeFresh, name: str
) -> None:
    """A name that is in no registry row reaches no path."""
    data_dir = make_fresh()
    before = fingerprint_files(data_dir)
    expected = UnknownAppError if name == "tv-2" else AppNameError
    with Databases(data_dir) as databases, pytest.raises(expected), databases.app_session(name):
        pytest.fail("there is no such app")
    assert fingerprint_files(data_dir) == before


@pytest.mark.parametrize("era", ["monolith", "vods_db", "pre_tenancy", "node_split", "node_head"])
def test_open_of_an_app_of_any_era_brings_its_rows_and_touches_no_other_app(
    make_installation: MakeInstallation, make_upgraded: MakeInstallation, era: str
) -> None:
    """A lazy open leaves in app.db what `streamhub-db upgrade` leaves there."""
    lazy, upgraded = make_installation(era), make_upgraded(era)
    before = fingerprint_files(lazy.data_dir)
    (first, *_) = lazy.apps
    with Databases(lazy.data_dir) as databases, databases.app_session(first) as session:
        assert session.scalar(sa.text("SELECT version_num FROM alembic_version")) == APP.head

    found, expected = load_database(lazy.app_db(first)), load_database(upgraded.app_db(first))
    assert found is not None
    assert expected is not None
    for table in ("streams", "vods", "ingress_auth"):
        assert found.rows(table) == expected.rows(table)
    assert set(APP_MARKERS) <= found.meta().keys()
    after = fingerprint_files(lazy.data_dir)
    others = {name for name in after.keys() | before.keys() if f"apps/{first}" not in name}
    assert {name: after.get(name) for name in others} == {name: before.get(name) for name in others}


def test_open_of_an_unadopted_file_backs_it_up_once(make_installation: MakeInstallation) -> None:
    """The first open makes the backup, later ones find nothing to do."""
    found = make_installation("node_head")
    app = next(name for name in found.apps if found.app_db(name).is_file())
    for _ in range(2):
        with Databases(found.data_dir) as databases:
            names_of_vods(databases, app)
        (backup,) = list_backups(found.app_db(app))
        assert look_at(backup, APP).state is State.UNADOPTED


def test_open_of_a_file_that_is_behind_upgrades_it_with_a_backup(make_fresh: MakeFresh) -> None:
    """A file at parity comes to head with its rows."""
    data_dir = make_fresh()
    path = app_db(data_dir, "live")
    with Databases(data_dir) as databases, databases.app_session("live") as session:
        session.add(Vod(name="kept"))
    downgrade_file(path, APP, APP.parity)
    with Databases(data_dir) as databases:
        assert names_of_vods(databases, "live") == ["kept"]
    assert look_at(path, APP).state is State.CURRENT
    assert look_at(list_backups(path)[-1], APP).revision == APP.parity


def test_global_session_of_an_unadopted_file_upgrades_it(
    make_installation: MakeInstallation,
) -> None:
    """The global database comes to head too when it is asked for."""
    found = make_installation("pre_tenancy")
    with Databases(found.data_dir) as databases, databases.global_session() as session:
        assert set(session.scalars(sa.select(App.name))) == set(found.apps)
    assert look_at(found.global_path, GLOBAL).state is State.CURRENT
    assert len(list_backups(found.global_path)) == 1


@pytest.mark.parametrize("era", ["monolith", "node_head"])
def test_open_without_auto_upgrade_refuses_what_is_outdated_and_touches_nothing(
    make_installation: MakeInstallation, era: str
) -> None:
    """Missing, unadopted and behind: SchemaOutdatedError, and not a byte changes."""
    found = make_installation(era)
    before = fingerprint_files(found.data_dir)
    with Databases(found.data_dir, auto_upgrade=False) as databases:
        for app in found.apps:
            with pytest.raises(SchemaOutdatedError), databases.app_session(app):
                pytest.fail("it is not at head")
        with pytest.raises(SchemaOutdatedError), databases.global_session():
            pytest.fail("it is not at head")
    assert fingerprint_files(found.data_dir) == before


def test_open_without_auto_upgrade_takes_a_file_at_head(make_fresh: MakeFresh) -> None:
    """What is at head with its markers needs no upgrade."""
    with Databases(make_fresh(), auto_upgrade=False) as databases:
        assert names_of_vods(databases, "live") == []


def test_open_of_a_newer_file_is_refused_untouched(make_fresh: MakeFresh) -> None:
    """A revision that this release does not know is a later release's."""
    data_dir = make_fresh()
    path = app_db(data_dir, "live")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'a9999'")
    before = fingerprint_files(data_dir)
    with Databases(data_dir) as databases, pytest.raises(NewerDatabaseError, match="a9999"):
        names_of_vods(databases, "live")
    assert fingerprint_files(data_dir) == before


def test_failed_open_is_not_kept_when_the_file_is_repaired(make_fresh: MakeFresh) -> None:
    """The same object opens the app once its file is whole again."""
    data_dir = make_fresh()
    path = app_db(data_dir, "live")
    whole = shutil.copy2(path, path.with_name("whole"))
    path.write_bytes(b"this is not a database, however long it is" * 40)
    with Databases(data_dir) as databases:
        for _ in range(2):
            with pytest.raises(NotADatabaseError, match="a SQLite database"):
                names_of_vods(databases, "live")
        shutil.copy2(whole, path)
        assert names_of_vods(databases, "live") == []
        assert databases.counters.misses == 3


def test_closed_databases_raise_and_close_again_in_peace(make_fresh: MakeFresh) -> None:
    """After close() nothing can be opened; a second close() is nothing."""
    databases = Databases(make_fresh())
    names_of_vods(databases, "live")
    databases.close()
    databases.close()
    with pytest.raises(DatabasesClosedError):
        names_of_vods(databases, "live")
    with pytest.raises(DatabasesClosedError), databases.global_session():
        pytest.fail("it is closed")


def test_databases_of_a_folder_without_an_installation_are_refused(tmp_path: Path) -> None:
    """The constructor looks for the installation, and leaves nothing where there is none."""
    with pytest.raises(DataDirError):
        Databases(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_close_leaves_no_wal_and_no_descriptor_behind(make_fresh: MakeFresh) -> None:
    """The last connection checkpoints: only whole main files stay."""
    data_dir = make_fresh(["tv-2"])
    with Databases(data_dir) as databases:
        for app in ("live", "tv-2"):
            with databases.app_session(app) as session:
                session.add(Vod(name="x"))
        with databases.global_session() as session:
            session.add(App(name="third"))
    assert not [it for it in data_dir.rglob("*") if it.name.endswith(("-wal", "-shm"))]
