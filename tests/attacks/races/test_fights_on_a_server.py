"""Two processes that fight over rows of a control plane: nothing is lost, nothing over-booked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.global_db import ApiToken, App, Node, Quota, Tenant
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir

SECONDS = float(os.environ.get("STREAMHUB_FIGHT_SECONDS", "1"))
LIMIT = 3

BEGIN = """
import io, json, sys, time
from collections import Counter
import sqlalchemy as sa
from streamhub_orm import Databases
from streamhub_orm.app_db import Stream, StreamStatus, StreamType
from streamhub_orm.errors import QuotaExceededError, StreamHubError
from streamhub_orm.global_db import ApiToken, App, Node
from streamhub_orm.retrying import attempts
from streamhub_orm.services import nodes, quotas, streams, tokens

root, me, seconds, limit = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
done, most, longest = Counter(), 0, 0.0
databases = Databases(root)
with databases.global_session(read_only=True) as session:
    session.connection()
print("ready", flush=True)
sys.stdin.readline()
end = time.monotonic() + seconds
number = 0
while time.monotonic() < end:
    number += 1
    name = f"{me}-{number}"
    started = time.monotonic()
    try:
        fight(name)
        done["done"] += 1
    except QuotaExceededError:
        done["refused"] += 1
    except StreamHubError as error:
        done[type(error).__name__] += 1
        if not error.may_be_repeated:
            raise
    longest = max(longest, time.monotonic() - started)
print(json.dumps({"done": done, "most": most, "longest": longest}))
"""
APPS = """
def fight(name):
    global most
    with quotas.reserve(databases, "acme", quotas.Metric.APPS) as session:
        session.add(App(name=name, tenant_id="acme"))
    with databases.global_session(read_only=True) as session:
        mine = App.tenant_id == "acme"
        most = max(most, session.scalar(sa.select(sa.func.count()).select_from(App).where(mine)))
    for attempt in attempts(30):
        with attempt, databases.global_session() as session:
            session.execute(sa.delete(App).where(App.name == name))
"""
STREAMS = """
def fight(name):
    global most
    with quotas.reserve(databases, "acme", quotas.Metric.CONCURRENT_STREAMS):
        time.sleep(0.003)  # what a media server takes to say yes
        with databases.app_session("tv-1") as session:
            session.add(Stream(stream_id=name, type=StreamType.WHIP, room="r", participant="p"))
    active = Stream.status == StreamStatus.ACTIVE
    with databases.app_session("tv-1", read_only=True) as session:
        found = session.scalar(sa.select(sa.func.count()).select_from(Stream).where(active))
        most = max(most, found)
    with databases.app_session("tv-1") as session:
        session.execute(sa.delete(Stream).where(Stream.stream_id == name))
"""
COUNTER = """
def fight(name):
    for attempt in attempts(50, longest_pause_seconds=0.05):
        with attempt, databases.global_session() as session:
            node = nodes.find_by_name(session, "one")
            node.stats_json = {"count": node.stats_json["count"] + 1}
"""
TOKENS = """
def fight(name):
    for attempt in attempts(50, longest_pause_seconds=0.05):
        with attempt, databases.global_session() as session:
            tokens.seed(session, io.StringIO("sk_" + "a" * 43 + "\\n"))
            tokens.touch(session, 1)
"""


@pytest.fixture
def opened(
    streamhub_place: DataDir, streamhub_global_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Databases]:
    monkeypatch.setenv("STREAMHUB_GLOBAL_URL", streamhub_global_url)
    with Databases(streamhub_place.root) as databases:
        with databases.global_session() as session:
            session.add(Tenant(id="acme", name="Ácme"))
            session.flush()
            session.add(Quota(tenant_id="acme", max_apps=LIMIT + 1, max_concurrent_streams=1))
            session.add(App(name="tv-1", tenant_id="acme"))
            session.add(Node(id="1", name="one", stats_json={"count": 0}))
        with databases.app_session("tv-1") as session:
            session.connection()
        yield databases


def fight(databases: Databases, code: str, *, fighters: int = 2) -> list[dict[str, object]]:
    """Let processes fight, and return what each came to."""
    root = str(databases.place.root)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code + BEGIN, root, f"p{number}", str(SECONDS), str(LIMIT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(fighters)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=SECONDS + 60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * fighters
    return [json.loads(it) for it in told]


def counted(told: list[dict[str, object]], what: str = "done") -> int:
    return sum(dict(it["done"]).get(what, 0) for it in told)  # type: ignore[call-overload]


def test_quota_of_apps_is_never_over_booked(opened: Databases) -> None:
    told = fight(opened, APPS, fighters=LIMIT + 2)
    assert counted(told) > 0
    assert max(int(str(it["most"])) for it in told) <= LIMIT + 1
    assert all(float(str(it["longest"])) < 10 for it in told)


def test_quota_of_streams_is_never_over_booked(opened: Databases) -> None:
    """What is counted lies in the app's file, of which the server knows nothing."""
    told = fight(opened, STREAMS)
    assert counted(told) > 0
    assert max(int(str(it["most"])) for it in told) <= 1
    assert all(float(str(it["longest"])) < 10 for it in told)


def test_no_update_is_lost(opened: Databases) -> None:
    told = fight(opened, COUNTER)
    with opened.global_session(read_only=True) as session:
        stats = session.scalars(sa.select(Node.stats_json).where(Node.name == "one")).one()
    assert stats == {"count": counted(told)}
    assert counted(told) > 0


def test_one_token_is_seeded(opened: Databases) -> None:
    told = fight(opened, TOKENS)
    assert counted(told) > 0
    with opened.global_session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ApiToken)) == 1
    assert tokens.check_request(opened, "sk_" + "a" * 43, address="192.0.2.7")
