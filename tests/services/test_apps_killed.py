"""Making, setting and purging an app, killed or failed at every step that Python can see."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod
from streamhub_orm.errors import AppExistsError, StreamHubError, UnknownAppError
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import APP
from streamhub_orm.services import app_settings, apps
from streamhub_orm.settings import load_app_config, new_app_settings
from tests.support.faults.python_points import watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.testing.plugin import MakeStreamHub

POINTS: Final = range(1, 1000, 1 if os.environ.get("STREAMHUB_EVERY_POINT") else 3)
FAILED: Final = 3
"""The exit status of a child whose call raised one of our errors."""


def create(data_dir: Path) -> None:
    with Databases(data_dir) as databases, databases.global_session() as session:
        apps.create(session, databases.place, "tv-2", config={"a": 1})


def set_(data_dir: Path) -> None:
    with Databases(data_dir) as databases, databases.global_session() as session:
        changes = {"display_name": "Stage", "own": {"a": 1}}
        app_settings.change(session, databases.place, "live", changes)


def purge(data_dir: Path) -> None:
    with Databases(data_dir) as databases:
        apps.delete(databases, "tv-2", purge=True)


def kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(word: str) -> None:
    if not word.startswith("statement"):  # SQLite swallows what a trace callback raises
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), word)


def run_until(number: int, strike: Callable[[str], None], call: Callable[[], None]) -> int:
    """Run a call in a child and strike at its n-th point; return how the child ended."""
    child = os.fork()
    if child == 0:
        seen = 0

        def reached(word: str) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                strike(word)

        watch(reached)
        try:
            call()
        except StreamHubError:
            os._exit(FAILED)
        os._exit(0 if seen < number else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def registered(data_dir: Path) -> list[str]:
    with Databases(data_dir) as databases, databases.global_session(read_only=True) as session:
        return [app.name for app in apps.list_(session)]


def files_in(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir()) if folder.exists() else []


def assert_whole(data_dir: Path) -> None:
    folder = data_dir / "apps" / "tv-2"
    assert look_at(folder / "app.db", APP).state is State.CURRENT
    assert [it for it in files_in(folder) if it not in {"app.db-wal", "app.db-shm"}] == [
        "app.db",
        "config.yaml",
        "recordings",
        "samples",
        "snapshots",
    ]
    assert load_app_config(folder / "config.yaml").document == {**new_app_settings("tv-2"), "a": 1}
    assert registered(data_dir) == ["live", "tv-2"]


@pytest.mark.slow
def test_create_that_is_killed_at_any_point_is_whole_or_completed_by_the_next_one(
    make_streamhub: MakeStreamHub,
) -> None:
    """Either the app is there, with its database, or the name is free."""
    for number in POINTS:
        data_dir = make_streamhub(str(number)).root
        ended = run_until(number, kill, lambda data_dir=data_dir: create(data_dir))  # type: ignore[misc]
        if "tv-2" not in registered(data_dir):
            create(data_dir)
        else:
            with pytest.raises(AppExistsError):
                create(data_dir)
        assert_whole(data_dir)
        if ended == 0:
            assert number > 20
            return
        assert ended == -signal.SIGKILL
    pytest.fail("it never ends")


@pytest.mark.slow
def test_create_that_meets_a_full_disk_at_any_point_leaves_nothing_or_all(
    make_streamhub: MakeStreamHub,
) -> None:
    """Where it raises, the folder is as it was: not there."""
    statuses = set()
    for number in POINTS:
        data_dir = make_streamhub(str(number)).root
        ended = run_until(number, fail, lambda data_dir=data_dir: create(data_dir))  # type: ignore[misc]
        statuses.add(ended)
        if ended == FAILED:
            assert files_in(data_dir / "apps") == ["live"]
            assert registered(data_dir) == ["live"]
            create(data_dir)
        assert_whole(data_dir)
        if ended == 0:
            break
    assert statuses == {0, 1, FAILED}


@pytest.mark.slow
def test_purge_that_is_killed_at_any_point_is_finished_by_the_next_one(
    make_streamhub: MakeStreamHub,
) -> None:
    """Until the row is gone, nothing of the app is."""
    for number in POINTS:
        data_dir = make_streamhub(str(number)).root
        create(data_dir)
        with Databases(data_dir) as databases, databases.app_session("tv-2") as session:
            session.add(Vod(app_id=2, name="Opening night"))
        ended = run_until(number, kill, lambda data_dir=data_dir: purge(data_dir))  # type: ignore[misc]
        if "tv-2" in registered(data_dir):
            assert_whole(data_dir)
        with suppress(UnknownAppError):  # the killed one was done
            purge(data_dir)
        assert files_in(data_dir / "apps") == ["live"]
        assert registered(data_dir) == ["live"]
        if ended == 0:
            assert number > 10
            return
        assert ended == -signal.SIGKILL
    pytest.fail("it never ends")


@pytest.mark.slow
@pytest.mark.parametrize("strike", [kill, fail])
def test_change_of_settings_that_is_struck_at_any_point_leaves_the_old_or_the_new_file(
    make_streamhub: MakeStreamHub, strike: Callable[[str], None]
) -> None:
    """Never a part of one; the next change goes through, and file and row agree then."""
    old = new_app_settings("live")
    new = {**old, "display_name": "Stage", "own": {"a": 1}}
    seen = []
    for number in POINTS:
        data_dir = make_streamhub(str(number)).root
        config = data_dir / "apps" / "live" / "config.yaml"
        ended = run_until(number, strike, lambda data_dir=data_dir: set_(data_dir))  # type: ignore[misc]
        found = load_app_config(config).document
        assert found in (old, new)
        seen.append(found == new)
        set_(data_dir)
        assert load_app_config(config).document == new
        with Databases(data_dir) as databases, databases.global_session() as session:
            assert apps.get(session, "live").display_name == "Stage"
            kept = app_settings.list_backups(session, databases.place, "live")
        assert [load_app_config(config.with_name(it)).document for it in kept[-1:]] == [old]
        if ended == 0:
            assert number > 10
            assert {True, False} == set(seen)
            return
    pytest.fail("it never ends")
