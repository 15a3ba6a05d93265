"""SIGKILL at points spread over a promotion and a demotion, and what the next run makes of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm import Databases
from streamhub_orm.errors import ControlPlaneError
from streamhub_orm.global_db import App, Tenant
from streamhub_orm.init import make_installation
from tests.promotion.contents import fill, read_all
from tests.support import figures
from tests.support.faults import fork_server
from tests.support.faults.sampling import sample
from tests.support.faults.shim import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer
    from tests.support.faults.fork_server import Ended, ForkServer, Job

_POINTS_TRIED: Final = 8


@dataclass
class Attack:
    """An installation with rows of every kind, and a database, made anew for each attempt."""

    server: ForkServer
    postgres: PostgresServer
    template: str
    prepared: Path
    place: DataDir
    passfile: Path
    rows: dict[str, list[tuple[object, ...]]]
    name: str = "killed"
    by_python: bool = True
    """Count what Python does, on the server as well; otherwise what the disk is asked to do."""

    def renew(self) -> None:
        self.postgres.drop(self.name)
        self.postgres.create(self.name, template=self.template)
        shutil.rmtree(self.place.root)
        shutil.copytree(self.prepared, self.place.root)

    @property
    def url(self) -> str:
        return self.postgres.url(self.name)

    def job(self, *arguments: str) -> Job:
        url = f"{self.postgres.url(self.name, password=False)}?passfile={self.passfile}"
        words = ("--global-url", url, "global", *arguments)
        return fork_server.counting(
            fork_server.cli(self.place.root, *words), by_python=self.by_python
        )

    def run(self, *arguments: str) -> Ended:
        ended = self.server.run(self.job(*arguments))
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def kill(self, number: int, *arguments: str) -> Ended:
        figures.count("kills amid promotion and demotion")
        return self.server.run(self.job(*arguments).at(number, Mode.KILL))

    def points(self, *arguments: str) -> list[int]:
        """Run it to its end; return a sample of its points, with those that follow the fence.

        What a side does to the other between the two commits is but a few points of many.
        """
        log = self.passfile.with_name("points")
        whole = self.server.run(replace(self.job(*arguments), log=str(log)))
        assert whole.status == 0, whole
        words = log.read_text().splitlines()
        assert len(words) == whole.points
        fenced = next(n for n, word in enumerate(words) if "CREATE TRIGGER" in word)
        after = [n for n in range(fenced, len(words)) if words[n].startswith("server execute")]
        few = sample(whole.points, whole.points // _POINTS_TRIED)
        return sorted({*few, *(n + 1 for n in after[:3])})

    def file_takes_writes(self) -> bool:
        with closing(sqlite3.connect(self.place.global_db, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("INSERT INTO tenants (id, name) VALUES ('probe', '')")
            except sqlite3.IntegrityError as error:
                assert "promoted to" in str(error)  # noqa: PT017 - what is said counts
                return False
            finally:
                connection.execute("ROLLBACK")
            return True

    def server_takes_writes(self) -> bool:
        """Tell whether the server has the rows and takes writes; without them it is as new."""
        with Databases(self.place.root, global_url=self.url) as databases:
            try:
                with databases.global_session() as session:
                    session.add(Tenant(id="probe", name=""))
                    session.flush()
                    holds = session.get(App, 7) is not None
                    session.rollback()
            except ControlPlaneError as error:
                assert "demoted to" in str(error)  # noqa: PT017 - what is said counts
                return False
            if not holds:
                counts = {name: len(rows) for name, rows in read_all(databases).items() if rows}
                assert counts == {"tenants": 1, "quotas": 1, "_streamhub_meta": 1}
            return holds

    def read(self, *, on_server: bool) -> dict[str, list[tuple[object, ...]]]:
        url = self.url if on_server else None
        with Databases(self.place.root, global_url=url) as databases:
            return read_all(databases)


@pytest.fixture
def attack(
    server: ForkServer,
    postgres: PostgresServer,
    streamhub_server_template: str,
    memory: Path,
) -> Iterator[Attack]:
    prepared = memory / "prepared"
    place = make_installation(prepared)
    fill(place.global_db)
    with Databases(prepared) as databases:
        rows = read_all(databases)
    shutil.copytree(prepared, memory / "data")
    passfile = memory / "pgpass"
    passfile.write_text(f"*:*:*:*:{postgres.password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    moved = type(place)(memory / "data", memory / "data/data/streamhub.db")
    name = f"killed_{os.getpid()}"
    template = streamhub_server_template
    found = Attack(server, postgres, template, prepared, moved, passfile, rows, name)
    found.renew()
    yield found
    postgres.drop(name)


@pytest.mark.slow
def test_killed_promotion_is_finished_or_undone(attack: Attack) -> None:
    states = set()
    for turn, number in enumerate(attack.points("promote")):
        attack.renew()
        killed = attack.kill(number, "promote")
        assert killed.status == -9, killed
        sides = (attack.file_takes_writes(), attack.server_takes_writes())
        states.add(sides)
        assert sides != (True, True), killed.last
        if turn % 2:
            undone = attack.run("promote", "--undo")
            if sides[1]:
                assert undone.status == (0 if "has its rows" not in undone.stderr else 3), undone
            else:
                assert undone.status == 0, undone
                assert attack.file_takes_writes()
                assert attack.read(on_server=False) == attack.rows
        done = attack.run("promote")
        assert done.status == 0, (killed.last, done)
        assert not attack.file_takes_writes()
        assert attack.read(on_server=True) == attack.rows, killed.last
        assert not list(attack.place.global_db.parent.glob(".*streamhub-tmp*"))
    assert {(True, False), (False, False)} <= states


@pytest.mark.slow
@pytest.mark.parametrize("by_python", [True, False], ids=["statements", "disk"])
def test_killed_demotion_is_finished_or_undone(
    attack: Attack,
    by_python: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    attack.by_python = by_python
    assert attack.run("promote").status == 0
    whole = attack.run("demote")
    assert whole.status == 0, whole
    states = set()
    for turn, number in enumerate(sample(whole.points, whole.points // _POINTS_TRIED)):
        attack.renew()
        assert attack.run("promote").status == 0
        killed = attack.kill(number, "demote")
        assert killed.status == -9, killed
        sides = (attack.file_takes_writes(), attack.server_takes_writes())
        states.add(sides)
        assert sides != (True, True), killed.last
        if turn % 2 and not sides[0]:
            assert attack.run("demote", "--undo").status == 0
            assert attack.server_takes_writes()
            assert attack.read(on_server=True) == attack.rows
        done = attack.run("demote")
        assert done.status == 0, (killed.last, done)
        assert (attack.file_takes_writes(), attack.server_takes_writes()) == (True, False)
        assert attack.read(on_server=False) == attack.rows, killed.last
    assert {(False, True), (False, False)} <= states
