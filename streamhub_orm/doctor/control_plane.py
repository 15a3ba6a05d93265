"""Look at the control plane: its server, the user's rights there, and the file beside."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm.doctor.findings import Finding, Verdict, failure
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.fence import find_fence
from streamhub_orm.errors import StreamHubError
from streamhub_orm.global_db import Node
from streamhub_orm.migrations.global_database import look_at_global, reading_server
from streamhub_orm.migrations.states import State, look_at
from streamhub_orm.migrations.worlds import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.postgresql.measures import ServerFacts

_OLDEST: Final = 13
"""The oldest release of PostgreSQL that this is tested on or its makers still mend."""
_CONNECTIONS: Final = 16
"""The most that one process opens; most of the time it is a few."""
_CLOCK_WARNING: Final = timedelta(seconds=2)
_CLOCK_REFUSED: Final = timedelta(minutes=1)
"""From this difference on, tokens and sign-ins of one node are seen as expired by another."""


def look_at_control_plane(place: DataDir) -> Iterator[Finding]:
    """Yield the findings about a global database on a server, and about a file beside."""
    subject = f"control plane {place.global_url}"
    try:
        with reading_server(place, "looking at it") as connection:
            from streamhub_orm.postgresql.measures import (  # noqa: PLC0415 - an extra
                read_server_facts,
            )

            facts = read_server_facts(connection)
            found = look_at_global(place)
            nodes = 0
            if found.error is None:
                query = sa.select(sa.func.count()).select_from(Node)
                nodes = connection.execute(query).scalar_one()
    except StreamHubError as error:
        yield failure(subject, error)
    else:
        if found.error is not None:
            yield failure(subject, found.error)
        yield _judge_server(subject, facts)
        yield _judge_rights(facts)
        yield _judge_connections(facts, nodes)
        yield _judge_tls(facts)
        yield _judge_clock(facts)
    yield from _look_at_file(place)


def _judge_server(subject: str, facts: ServerFacts) -> Finding:
    if facts.is_standby or facts.is_read_only:
        what = "a standby" if facts.is_standby else "set to read-only for this user"
        todo = "Name the primary server, or let this user write (default_transaction_read_only)."
        return Finding(subject, Verdict.FAILURE, f"{what}, which takes no writes", todo)
    found = f"PostgreSQL {facts.version}"
    if facts.major < _OLDEST:
        todo = f"Use PostgreSQL {_OLDEST} or newer."
        return Finding(subject, Verdict.WARNING, f"{found}, which nobody tests", todo)
    return Finding(subject, Verdict.OK, f"{found}, which takes writes")


def _judge_rights(facts: ServerFacts) -> Finding:
    subject = f"rights of {facts.role}"
    if facts.unwritable:
        shown = ", ".join(facts.unwritable[:5])
        todo = f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES … TO "{facts.role}".'
        return Finding(subject, Verdict.FAILURE, f"no right to read and write {shown}", todo)
    if facts.unowned or not facts.may_create:
        found = "none to change tables, which an upgrade to a new release does"
        todo = "Run `streamhub-db upgrade` as the owner of the database; all else works."
        return Finding(subject, Verdict.WARNING, found, todo)
    return Finding(subject, Verdict.OK, "all that nodes and upgrades need")


def _judge_connections(facts: ServerFacts, nodes: int) -> Finding:
    needed = max(nodes, 1) * _CONNECTIONS
    found = (
        f"{facts.connections} of {facts.most_connections} in use; one process on each of "
        f"{max(nodes, 1)} nodes opens up to {needed}"
    )
    if needed > facts.most_connections:
        todo = "Raise max_connections of the server; a session that finds none free fails."
        return Finding("connections", Verdict.WARNING, found, todo)
    return Finding("connections", Verdict.OK, found)


def _judge_tls(facts: ServerFacts) -> Finding:
    if facts.has_tls:
        return Finding("TLS", Verdict.OK, "the connection to the control plane is encrypted")
    if facts.is_here:
        return Finding("TLS", Verdict.OK, "none, on this machine alone")
    todo = "Switch ssl on there, and add ?sslmode=verify-full to the URL."
    found = "none: rows, hashes of tokens among them, cross the network in the clear"
    return Finding("TLS", Verdict.WARNING, found, todo)


def _judge_clock(facts: ServerFacts) -> Finding:
    difference = abs(facts.clock_difference)
    found = f"{difference.total_seconds():.1f} s from the clock of the control plane"
    if difference < _CLOCK_WARNING:
        return Finding("clock of this node", Verdict.OK, found)
    verdict = Verdict.FAILURE if difference >= _CLOCK_REFUSED else Verdict.WARNING
    todo = "Set both by NTP: what one node lets expire in a while, another finds expired."
    return Finding("clock of this node", verdict, found, todo)


def _look_at_file(place: DataDir) -> Iterator[Finding]:
    """Warn of a file beside: who still uses it writes rows that no node sees."""
    if not place.global_db.exists() or look_at(place.global_db, GLOBAL).state is State.MISSING:
        return
    subject = "file of the global database"
    try:
        with reading(place.global_db) as connection:
            words = find_fence(connection)
    except StreamHubError as error:
        yield failure(subject, error)
        return
    if words is not None:
        found = f"{place.global_db} takes no writes: {words}"
        yield Finding(subject, Verdict.OK, found)
        return
    found = f"{place.global_db} lies there too, and takes writes that no node sees"
    todo = "Who has no STREAMHUB_GLOBAL_URL uses it. Move it away, if the server has its rows."
    yield Finding(subject, Verdict.WARNING, found, todo)
