"""Installations that tests are given: what they hold, whose they are, and their price."""

from __future__ import annotations

import sqlite3
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import UnknownRevisionError
from streamhub_orm.fleet import list_app_names
from streamhub_orm.global_db import Tenant
from streamhub_orm.migrations.states import State
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.services import magic_links
from streamhub_orm.status import read_status
from streamhub_orm.testing.installations import ERAS, Clock
from streamhub_orm.upgrade import upgrade_installation
from tests.migrations.built import drift_of

if TYPE_CHECKING:
    from streamhub_orm.testing.plugin import MakeStreamHub


def test_a_fresh_one_has_the_apps_that_were_asked_for(make_streamhub: MakeStreamHub) -> None:
    for number, apps in enumerate((["live"], [], ["tv-2", "tv-3"], ["live", "tv-2"])):
        place = make_streamhub(f"fresh-{number}", apps=apps)
        assert sorted(list_app_names(place)) == sorted(apps)
        assert [place.app_db(name).is_file() for name in apps] == [True] * len(apps)
        assert not (place.apps / "live").exists() or "live" in apps
        assert {app.state for app in read_status(place.root).apps.values()} <= {State.CURRENT}


def test_each_is_a_copy_of_its_own(make_streamhub: MakeStreamHub) -> None:
    first, second = make_streamhub("first"), make_streamhub("second")
    with Databases(first.root) as databases, databases.global_session() as session:
        session.add(Tenant(id="acme", name="Acme"))
    with Databases(second.root) as databases, databases.global_session() as session:
        assert session.get(Tenant, "acme") is None
    with (
        Databases(make_streamhub("third").root) as databases,
        databases.global_session() as session,
    ):
        assert session.get(Tenant, "acme") is None


@pytest.mark.parametrize("era", ERAS)
def test_one_of_an_era_is_upgraded_with_its_rows(make_streamhub: MakeStreamHub, era: str) -> None:
    place = make_streamhub(era=era)
    with closing(sqlite3.connect(place.global_db)) as connection:
        dump = "\n".join(connection.iterdump())
    assert "streamhub-templates" not in dump
    report = upgrade_installation(place.root)
    assert report.failed == 0, report
    assert [app.app for app in report.apps]


@pytest.mark.parametrize("revision", [script.revision for script in APP.history])
def test_app_dbs_of_any_revision_come_to_head(make_streamhub: MakeStreamHub, revision: str) -> None:
    place = make_streamhub(apps=["live", "tv-2"], app_revision=revision)
    assert {app.revision for app in read_status(place.root).apps.values()} == {revision}
    assert not drift_of(place.app_db("tv-2"), APP, revision).lines()
    with Databases(place.root) as databases, databases.app_session("tv-2") as session:
        session.connection()
    assert read_status(place.root).apps["tv-2"].revision == APP.head


@pytest.mark.parametrize("revision", [script.revision for script in GLOBAL.history])
def test_global_databases_of_any_revision_come_to_head(
    make_streamhub: MakeStreamHub, revision: str
) -> None:
    place = make_streamhub(apps=["live", "tv-2"], global_revision=revision)
    assert not drift_of(place.global_db, GLOBAL, revision).lines()
    assert list_app_names(place) == ["live", "tv-2"]
    with Databases(place.root) as databases, databases.global_session() as session:
        session.connection()
    status = read_status(place.root)
    assert (status.global_.revision, len(status.apps)) == (GLOBAL.head, 2)


def test_what_is_not_there_is_refused(make_streamhub: MakeStreamHub) -> None:
    with pytest.raises(UnknownRevisionError, match="a0010"):
        make_streamhub("one", app_revision="a0099")
    with pytest.raises(ValueError, match="expected one of monolith"):
        make_streamhub("two", era="future")


def test_a_copy_costs_milliseconds(make_streamhub: MakeStreamHub) -> None:
    """Some thirty times less than to make one, so no run of this test is close to the bound."""
    make_streamhub("first", apps=["live", "tv-2"])
    times = []
    for number in range(10):
        begun = time.perf_counter()
        make_streamhub(f"copy-{number}", apps=["live", "tv-2"])
        times.append(time.perf_counter() - begun)
    assert statistics.median(times) < 0.1


def test_the_clock_is_the_present_of_the_services(
    streamhub: Databases, streamhub_clock: Clock
) -> None:
    streamhub_clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    with streamhub.global_session() as session:
        link = magic_links.request(session, "ann@example.org")
        assert link.expires_at == datetime(2030, 1, 1, 0, 15, tzinfo=UTC)
        streamhub_clock.tick(minutes=16)
        assert not magic_links.claim(session, link.token)


def test_the_real_clock_is_back_after_the_block() -> None:
    with Clock(datetime(2030, 1, 1, tzinfo=UTC)), Clock(datetime(2031, 1, 1, tzinfo=UTC)) as inner:
        assert Clock().now == inner.now
    assert abs(Clock().now - datetime.now(UTC)) < timedelta(minutes=1)
