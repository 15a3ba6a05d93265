"""`sizes`: databases and recordings, app by app and together."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from streamhub_orm.fleet import VodTotal
from streamhub_orm.maintenance.sizes import read_sizes
from tests.maintenance.conftest import app_db, run_sql
from tests.support.installations.commands import run_in_process

if TYPE_CHECKING:
    from pathlib import Path


def add_vods(data_dir: Path, app: str, *vods: tuple[str, int | None]) -> None:
    statement = "INSERT INTO vods (app_id, name, status, size_bytes) VALUES (1, 'v', ?, ?)"
    run_sql(app_db(data_dir, app), statement, vods)


def test_sizes_add_up_recordings_by_status_and_put_the_largest_first(data_dir: Path) -> None:
    add_vods(data_dir, "radio", ("ready", 2**40), ("ready", 1), ("failed", None))
    add_vods(data_dir, "arena", ("ready", 5))
    run_sql(
        app_db(data_dir, "arena"),
        "INSERT INTO vod_variants (vod_id, format, size_bytes) VALUES (1, 'hls', 70)",
    )
    found = read_sizes(data_dir)
    assert [one.name for one in found.apps] == ["radio", "arena", "live"]
    radio, arena, _ = found.apps
    assert radio.vods == {"ready": VodTotal(2, 2**40 + 1), "failed": VodTotal(1, 0)}
    assert (arena.vod_bytes, arena.variants) == (75, VodTotal(1, 70))
    assert found.total.vod_count == 4
    files = [data_dir / "data" / "streamhub.db", *(app_db(data_dir, it.name) for it in found.apps)]
    assert found.total.db_bytes == sum(path.stat().st_size for path in files)
    files_bytes = found.total.db_bytes + found.total.wal_bytes
    assert found.total.total_bytes == files_bytes + 2**40 + 1 + 75


def test_sizes_of_a_bad_app_are_named_and_a_missing_one_takes_nothing(data_dir: Path) -> None:
    app_db(data_dir, "radio").write_bytes(b"no database " * 500)
    shutil.rmtree(data_dir / "apps" / "arena")
    outcome = run_in_process("--data-dir", data_dir, "--json", "sizes")
    assert outcome.status == 1
    entries = {it["name"]: it for it in outcome.report["apps"]}
    assert (entries["arena"]["error"], entries["arena"]["total_bytes"]) == (None, 0)
    assert str(app_db(data_dir, "radio")) in entries["radio"]["error"]
    assert entries["live"]["db_bytes"] > 0


def test_sizes_of_one_app_come_with_the_global_database(data_dir: Path) -> None:
    outcome = run_in_process("--data-dir", data_dir, "sizes", "--app", "live")
    names = [line.split("\t")[0] for line in outcome.stdout.splitlines()[:-1]]
    assert names == ["app", "live", "(global)", "(total)"]
    assert run_in_process("--data-dir", data_dir, "sizes", "--app", "nobody").status == 3
