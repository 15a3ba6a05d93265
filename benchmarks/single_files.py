"""Benchmarks of one app.db at a time: created, opened cold, touched in turn; and the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import floors
from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.fresh import in_fresh_process
from benchmarks.installations import (
    forget_apps,
    head_schema,
    leave_rows_in_global,
    make_fleet,
    names,
)
from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.registry import RegistryConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale
    from streamhub_orm.legacy.sources import LegacyFiles


def _create(folder: Path, scale: Scale) -> Contest:
    """Measure what Databases does for a missing file, and that with opening it; never closing."""
    root = folder / "installation"
    apps = names(scale.files + 1)
    make_fleet(root, len(apps))
    schema = head_schema(folder / "scratch")

    def emptied() -> list[Path]:
        for name in apps:
            shutil.rmtree(root / "apps" / name)
            (root / "apps" / name).mkdir()
        forget_apps(root)
        os.sync()
        return [root / "apps" / name / "app.db" for name in apps]

    def floor(*, wal_first: bool) -> Sample:
        paths = emptied()
        with ExitStack() as stack:
            floors.create(paths.pop(), schema, wal_first=wal_first).close()

            def create() -> None:
                for path in paths:
                    connection = floors.create(path, schema, wal_first=wal_first)
                    stack.enter_context(closing(connection))

            return timed(create)

    def file_alone() -> Sample:
        emptied()
        place = DataDir.find(root)
        registry = RegistryConnection(place)
        files = [registry.find_legacy_files(name) for name in apps]
        assert not any(each.hold_rows() for each in files)  # noqa: S101 - looked up beforehand
        registry.close()

        def create(files: list[LegacyFiles]) -> None:
            for each in files:
                upgrade_app_file(place.app_db(each.app), each)

        create(files[-1:])
        return timed(partial(create, files[:-1]))

    def opened() -> Sample:
        emptied()
        return _open_each(root, apps)

    line = partial(Line, floor="floor", unit="ms/app", per=scale.files)
    return Contest(
        {
            "floor": partial(floor, wal_first=False),
            "floor, WAL first": partial(floor, wal_first=True),
            "file": file_alone,
            "opened": opened,
        },
        [
            line("create", "file", goal=0.3),
            line("  with look-up and opening, by Databases", "opened"),
            line("  floor with WAL set first", "floor, WAL first"),
        ],
        work=scale.files,
    )


def _open_cold(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    apps = names(scale.files + 1)
    make_fleet(root, len(apps))

    def floor() -> Sample:
        with ExitStack() as stack:

            def open_each() -> None:
                for name in apps[:-1]:
                    path = root / "apps" / name / "app.db"
                    stack.enter_context(closing(floors.open_cold(path)))

            return timed(open_each)

    beside = folder / "beside"
    make_fleet(beside, len(apps))
    leave_rows_in_global(beside, scale.left_in_global, len(apps))
    return Contest(
        {
            "floor": floor,
            "ours": lambda: _open_each(root, apps),
            "beside": lambda: _open_each(beside, apps),
        },
        [
            Line("open_cold", "ours", "floor", goal=2, unit="ms/app", per=scale.files),
            Line(
                f"  beside {scale.left_in_global:,} global rows, against none",
                "beside",
                "ours",
                goal=1.05,
                unit="ms/app",
                per=scale.files,
            ),
        ],
        work=scale.files,
    )


def _open_each(root: Path, apps: list[str]) -> Sample:
    """Lease a connection of each app but the last, which warms up what is made once."""
    with Databases(root, max_open_apps=len(apps)) as databases:

        def touch(name: str) -> None:
            with databases.app_connection(name, read_only=True) as connection:
                connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchone()

        def touch_each() -> None:
            for name in apps[:-1]:
                touch(name)

        touch(apps[-1])
        return timed(touch_each)


def _touch(folder: Path, scale: Scale) -> Contest:
    apps = names(max(scale.touched))
    make_fleet(folder / "installation", len(apps))
    run = {"names": apps, "after": list(scale.touched)}
    first = scale.touched[0]
    lines = [
        Line(f"{figure} after {count} apps", "ours", figure=f"{key}_{count}", unit=unit)
        for key, figure, unit in (
            ("rss", "touch: peak memory", "MiB"),
            ("descriptors", "touch: descriptors", "open"),
        )
        for count in scale.touched
    ]
    return Contest(
        {"ours": lambda: in_fresh_process("touch", folder / "installation", **run)},
        lines,
        work=first,
    )


def _version(_: Path, scale: Scale) -> Contest:
    return Contest(
        {
            "floor": _command("-c", "pass"),
            "ours": _command("-m", "streamhub_orm", "--version"),
        },
        [
            Line("version", "ours", goal=0.1),
            Line("  against an empty program", "ours", "floor"),
        ],
        work=scale.files,
    )


def _command(*arguments: str) -> Callable[[], Sample]:
    def run() -> Sample:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
            times.append(time.perf_counter() - started)
        return {"seconds": min(times)}

    return run


BENCHMARKS: Final = (
    Benchmark("create", "files", "create app.db at head, durable", _create),
    Benchmark("open_cold", "files", "open app.db at head for the first time", _open_cold),
    Benchmark("touch", "memory", "touch every app of a fleet in turn", _touch),
    Benchmark("version", "command", "streamhub-db --version, warm", _version),
)
