"""Fills the tables of an installation under construction, era by era."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .facts import Row
    from .site import File


class Numbers:
    """The ids that one file gives out, per table."""

    def __init__(self, start: int = 1) -> None:
        self.streams = count(start)
        self.vods = count(start)


def fill_registry(file: File) -> None:
    """Apps, tokens and logs."""
    maker = file.site.maker("registry")
    file.insert("apps", [maker.app(app_id, name) for name, app_id in file.site.apps.items()])
    file.burn_ids("apps", maker.app(500, "deleted-app"))
    owners = [None, *file.site.apps.values()]
    tokens = [maker.token(number + 1, owner) for number, owner in enumerate(owners * 2)]
    file.insert("api_tokens", tokens)
    logs = [maker.log(n + 1, owners[n % len(owners)]) for n in range(file.site.rows)]
    file.insert("server_logs", logs, late=True)


def fill_streams_and_vods(file: File, app: str, numbers: Numbers, *, late: bool = False) -> None:
    """Write an app's rows into the global tables of the monolith."""
    maker, app_id = file.site.maker(app, "global"), file.site.apps[app]
    streams = [maker.stream(next(numbers.streams), app_id) for _ in range(file.site.streams)]
    vods = [maker.vod(next(numbers.vods), app_id) for _ in range(file.site.vods)]
    vods += [maker.nameless_vod(next(numbers.vods), app_id) for _ in range(2)]
    file.insert("streams", streams, app=app, late=late)
    file.insert("vods", vods, app=app, late=late)


def fill_ingress(file: File, app: str, *, late: bool = False) -> None:
    """Write an app's ingress credentials, which every era kept in the global file."""
    maker = file.site.maker(app, "ingress")
    rows = [maker.ingress(number, app) for number in range(1, 1 + file.site.ingress)]
    file.insert("ingress_auth", rows, app=app, late=late)


def add_orphans(file: File, numbers: Numbers, *, ingress: bool, monolith: bool) -> None:
    """Global rows that belong to no registered app."""
    if not file.site.options.orphans:
        return
    maker = file.site.maker("orphans")
    if monolith:
        file.insert("streams", [maker.stream(next(numbers.streams), 500) for _ in range(3)])
        file.insert("vods", [maker.vod(next(numbers.vods), 501) for _ in range(2)])
        file.burn_ids("vods", maker.vod(900_000, 501))
    if ingress:
        file.insert("ingress_auth", [maker.ingress(number, "Ghost App") for number in range(4)])


def fill_vods_db(
    file: File,
    app: str,
    *,
    lacking: tuple[str, ...] = (),
    late: bool = False,
) -> None:
    """Fill a legacy file: ids start at 1, some rows bear the id the app had elsewhere."""
    maker, app_id = file.site.maker(app, "vods.db"), file.site.apps[app]
    streams = [maker.stream(number, app_id) for number in range(1, 1 + file.site.streams)]
    top = 1 + file.site.vods
    vods = [maker.vod(number, app_id if number % 7 else 1) for number in range(1, top)]
    vods += [maker.nameless_vod(number, app_id) for number in (top, top + 1)]
    vods += [maker.vod(2**40 + app_id, app_id)]
    for row in vods:
        for column in lacking:
            del row[column]
    file.insert("streams", streams, app=app, late=late)
    file.insert("vods", vods, app=app, late=late)


def repeat_in_global(file: File, legacy: Path, app: str, numbers: Numbers) -> None:
    """Global rows that say the same as rows of the app's `vods.db`, or something else."""
    streams = file.site.rows_of(legacy, "streams", app)
    file.insert(
        "streams",
        [
            {**streams[0], "id": next(numbers.streams), "last_stats_json": "{}", "room": "other"},
            {**streams[1], "id": next(numbers.streams)},
        ],
        app=app,
    )
    vods = file.site.rows_of(legacy, "vods", app)
    file.insert("vods", [{**vods[0], "local_path": "/another/path"}, vods[1]], app=app)
    again = {**vods[2], "id": next(numbers.vods)}  # equal but for its id: another recording
    file.insert("vods", [again], app=app)


def repeat_in_app_db(own: File, legacy: Path, app: str) -> None:
    """Give an app.db rows which its pending `vods.db` knows in another state."""
    streams = own.site.rows_of(legacy, "streams", app)
    changed: Row = {"status": "ended", "ended_at": "2024-02-03T04:05:06.789Z"}
    own.insert("streams", [{**streams[0], "id": 77, **changed}, {**streams[1], "id": 78}], app=app)
    vods = own.site.rows_of(legacy, "vods", app)
    own.insert("vods", [{**vods[0], "local_path": None, "size_bytes": 5}, vods[1]], app=app)
    ingress = own.site.rows_of(own.site.open_global().path, "ingress_auth", app)
    changed = {"validated_at": "2024-02-03 04:05:06"}
    own.insert("ingress_auth", [{**ingress[0], **changed}, ingress[1]], app=app)
    maker, app_id = own.site.maker(app, "own"), own.site.apps[app]
    own.insert("vods", [maker.vod(number, app_id) for number in (3, 4)], app=app)
    own.burn_ids("vods", maker.vod(5_000, app_id))


def fill_app_db(
    own: File,
    app: str,
    step: int,
    *,
    start: int = 1,
    late: bool = False,
) -> None:
    """Give an app.db rows of its own in every table that its step knows."""
    maker, app_id = own.site.maker(app, "app.db"), own.site.apps.get(app, 777)
    streams = [maker.stream(start + number, app_id) for number in range(own.site.streams)]
    if step >= 8:
        streams[0]["type"] = "ws-mjpeg"
    vods = [maker.vod(start + number, app_id) for number in range(own.site.vods)]
    own.insert("streams", streams, app=app, late=late)
    own.insert("vods", vods, app=app, late=late)
    own.burn_ids("streams", maker.stream(start + 90_000, app_id))
    own.burn_ids("vods", maker.vod(start + 90_000, app_id))
    if step >= 5:
        plugins: list[Row] = [{"plugin_id": "chat", "enabled": 0, "config_json": '{"a": "é"}'}]
        own.insert(
            "app_plugins",
            [*plugins, {"plugin_id": "🎛", "enabled": 1, "config_json": None}],
            app=app,
        )
    if step >= 6:
        own.insert("vod_variants", [maker.variant(n, n) for n in range(1, 10)], app=app)
    if step >= 7:
        own.insert("restream_targets", [maker.target(n, app) for n in range(1, 10)], app=app)


def copy_streams_and_vods(own: File, app: str, *, forget: int = 0) -> None:
    """Rows of the global tables that came over, the first ones updated since."""
    source = own.site.open_global().path
    streams = own.site.rows_of(source, "streams", app)
    vods = own.site.rows_of(source, "vods", app)
    streams[0] = {**streams[0], "status": "ended", "last_stats_json": None}
    vods[0] = {**vods[0], "status": "ready", "public_url": "https://cdn.example/new"}
    own.insert("streams", streams[: len(streams) - forget], app=app)
    own.insert("vods", vods[: len(vods) - forget], app=app)


def copy_ingress(own: File, app: str, *, forget: int = 0) -> None:
    """Ingress credentials that came over; the last ones were deleted since."""
    rows = own.site.rows_of(own.site.open_global().path, "ingress_auth", app)
    kept = rows[: len(rows) - forget]
    kept[0] = {**kept[0], "validated_at": "2024-02-03 04:05:06"}
    own.insert("ingress_auth", kept, app=app)


def import_as_the_core_did(own: File, legacy: Path, app: str) -> None:
    """Import a `vods.db` but for the rows whose integer id is taken."""
    for table in ("streams", "vods"):
        taken = {row["id"] for row in own.site.rows_of(own.path, table, app)}
        rows = [row for row in own.site.rows_of(legacy, table, app) if row["id"] not in taken]
        own.insert(table, rows, app=app)
