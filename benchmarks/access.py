"""Benchmark of the check that every request to the API makes: one token, out of many."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from streamhub_orm import Databases
from streamhub_orm.init import make_installation
from streamhub_orm.services import tokens

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale

_QUERY: Final = """
    SELECT api_tokens.id, api_tokens.name, api_tokens.tenant_id, scope, allowed_ips_json,
           last_used_at, revoked, apps.name
    FROM api_tokens LEFT OUTER JOIN apps ON apps.id = api_tokens.app_id
    WHERE token_hash = ? ORDER BY revoked DESC, api_tokens.id"""
_ADDRESS: Final = "10.1.2.3"


def _verify(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    make_installation(root)
    with Databases(root) as databases, databases.global_session() as session:
        issued = [
            tokens.issue(session, f"token {n}", app="live", allowed_ips=["10.0.0.0/8"]).plaintext
            for n in range(scale.fleet)
        ]
    chosen = random.Random(5)  # noqa: S311 - the same tokens in every run
    asked = [chosen.choice(issued) for _ in range(scale.lookups)]
    against = partial(Line, floor="floor", unit="µs", per=scale.lookups)
    return Contest(
        {
            "floor": lambda: _held(root, asked),
            "verify": lambda: _in_one_session(root, asked),
            "request": lambda: _in_a_session_each(root, asked),
        },
        [
            against("token verify", "verify", goal=4),
            against("  a session each", "request"),
        ],
        work=scale.lookups,
    )


def _held(root: Path, asked: list[str]) -> Sample:
    """Run the same SELECT on a connection that is held, with the hashes made beforehand."""
    hashes = [hashlib.sha256(token.encode()).hexdigest() for token in asked]
    path = root / "data/streamhub.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def look_up() -> None:
            for token_hash in hashes:
                connection.execute(_QUERY, (token_hash,)).fetchone()

        look_up()
        return timed(look_up)


def _in_one_session(root: Path, asked: list[str]) -> Sample:
    """Hash, look up, compare address and scope, and see whether the last use is to be written."""
    with Databases(root) as databases, databases.global_session(read_only=True) as session:

        def verify() -> None:
            for token in asked:
                assert tokens.verify(session, token, address=_ADDRESS, app="live")  # noqa: S101

        verify()
        return timed(verify)


def _in_a_session_each(root: Path, asked: list[str]) -> Sample:
    """Check as an API does; the first time round also writes each token's last use."""
    with Databases(root) as databases:

        def check() -> None:
            for token in asked:
                assert tokens.check_request(databases, token, address=_ADDRESS, app="live")  # noqa: S101

        check()
        return timed(check)


BENCHMARKS: Final = (Benchmark("token", "services", "one API token checked, out of many", _verify),)
