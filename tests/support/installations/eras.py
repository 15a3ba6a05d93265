"""The five states in which installations are found."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from . import contents
from .accounts import fill_accounts, fill_tenancy
from .ddl import (
    APP_STEPS,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    LITESTREAM,
    VODS_DB_LATE_COLUMNS,
    apply_monolith,
    apply_runtime,
    apply_steps,
    apply_vods_db,
)
from .facts import SPLIT_BACKUP, SPLIT_DONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .site import File, Site

LACKING: Final = ((), ("snapshot_key",), ("metatags_json",), VODS_DB_LATE_COLUMNS)
"""Which columns a `vods.db` may lack."""


def build_monolith(site: Site) -> None:
    """Build one global file that holds everything; there is no file per app."""
    version = site.seed % 5 if site.options.user_version is None else site.options.user_version
    ingress = site.options.ingress
    ingress = (version == 4 or site.seed % 2 == 1) if ingress is None else ingress
    file = _open_global(site, 4 if ingress else 3, monolith=True)
    file.set_user_version(version)
    numbers = contents.Numbers()
    for position, app in enumerate(site.apps):
        if 0 < position == len(site.apps) - 1:
            continue  # an app that never streamed
        contents.fill_streams_and_vods(file, app, numbers, late=position == 0)
        if ingress:
            contents.fill_ingress(file, app, late=position == 0)
    contents.add_orphans(file, numbers, ingress=ingress, monolith=True)


def build_vods_db(site: Site) -> None:
    """Build a `vods.db` per app, with what the global tables still hold beside it."""
    file = _open_global(site, 4, monolith=True)
    numbers = contents.Numbers(3)
    for position, app in enumerate(site.apps):
        contents.fill_ingress(file, app)
        if position % 6 == 5:  # an app whose rows are in the global tables alone
            contents.fill_streams_and_vods(file, app, numbers)
            continue
        legacy = _make_vods_db(site, app, position)
        if position % 3 == 0:
            contents.fill_streams_and_vods(file, app, numbers, late=position == 0)
        if position == 0:
            contents.repeat_in_global(file, legacy.path, app, numbers)
        if position % 6 == 1:
            site.leave_empty_app_db(app)
        if position % 6 == 4:
            own = site.open_app_db(app)
            apply_steps(own.connection, APP_STEPS, 3)
            contents.repeat_in_app_db(own, legacy.path, app)
    contents.add_orphans(file, numbers, ingress=True, monolith=True)
    _add_unregistered(site, 2)


def build_pre_tenancy(site: Site) -> None:
    """Build a file per app at any of the core's steps; there are no tenants yet."""
    file = _open_global(site, 4)
    for position, app in enumerate(site.apps):
        contents.fill_ingress(file, app, late=position == 0)
        step = 2 + position % 6
        own = site.open_app_db(app)
        apply_steps(own.connection, APP_STEPS, step)
        start = site.rows // 4 if step == 7 else 1  # leave some ids to what the core imported
        contents.fill_app_db(own, app, step, start=start, late=position % 2 == 0)
        if step in (2, 4, 7):
            legacy = _make_vods_db(site, app, position)
            if step == 7:
                contents.import_as_the_core_did(own, legacy.path, app)
                own.set_marker("vods_import_done")
        if step in (3, 5, 7):
            contents.copy_ingress(own, app, forget=2)
            own.set_marker("ingress_import_done")
        if step == 5:  # user_version is a hint that can be wrong
            own.set_user_version(0)
        if step == 6:
            own.set_user_version(8)
    contents.add_orphans(file, contents.Numbers(), ingress=True, monolith=False)
    _add_unregistered(site, 7)


def build_node_split(site: Site) -> None:
    """Build what the core's own split left: it is marked done, whatever it forgot."""
    version = 7 + site.seed % 2
    runtime = ("apps.tenant_id", "users.password_hash", "users.status", "apps.node_id")
    file = _open_global(site, version, monolith=True, runtime=runtime)
    backup = file.path.with_name(file.path.name + ".bak-2024-05-06T07-08-09-010Z")
    file.connection.execute("VACUUM INTO ?", (str(backup),))
    file.set_marker(SPLIT_DONE)
    file.set_marker(SPLIT_BACKUP, str(backup))
    numbers = contents.Numbers()
    for position, app in enumerate(site.apps):
        _build_split_app(file, app, position, numbers)
    contents.add_orphans(file, numbers, ingress=True, monolith=True)
    _add_unregistered(site, 8)


def build_node_head(site: Site) -> None:
    """Build both kinds of file at the core's newest step, with additions in any combination."""
    choice = random.Random(site.seed)  # noqa: S311
    chosen = tuple(name for name in GLOBAL_RUNTIME if choice.random() < 0.6)
    file = _open_global(site, 8, runtime=chosen)
    fill_accounts(file)
    file.set_marker(SPLIT_DONE)
    file.connection.executescript(LITESTREAM)
    for position, app in enumerate(site.apps):
        contents.fill_ingress(file, app)
        own = site.open_app_db(app)
        step = 7 if position == 2 and site.options.killed_writers else 8
        apply_steps(own.connection, APP_STEPS, step)
        contents.fill_app_db(own, app, step, late=position % 3 == 0)
        contents.copy_ingress(own, app, forget=position % 6)
        own.set_marker("ingress_import_done")
        own.set_marker("vods_import_done")
        if position == 1:
            own.connection.executescript(LITESTREAM)
        if step == 7:  # the last step lies in a -wal only
            site.leave_to_killed_writer(own.path, (APP_STEPS[8] + "PRAGMA user_version = 8;", None))
    contents.add_orphans(file, contents.Numbers(), ingress=True, monolith=False)
    _add_unregistered(site, 8)


def _build_split_app(file: File, app: str, position: int, numbers: contents.Numbers) -> None:
    """Build the state of one app after the core's split, a different one for each position."""
    site = file.site
    kind = position % 6
    contents.fill_ingress(file, app)
    if kind != 3:
        contents.fill_streams_and_vods(file, app, numbers)
    if kind == 4:  # the core never got to open it
        _make_vods_db(site, app, position)
        return
    own = site.open_app_db(app)
    step = 7 + position % 2
    apply_steps(own.connection, APP_STEPS, step)
    start = {1: 10_001, 2: 10_001, 3: site.rows // 4}.get(kind, 1)
    contents.fill_app_db(own, app, step, start=start, late=kind == 0)
    if kind == 5:  # its import failed, which the core did not mind
        _make_vods_db(site, app, position)
        return
    if kind in (1, 2):  # some rows came over, or all of them and were updated since
        contents.copy_streams_and_vods(own, app, forget=3 if kind == 1 else 0)
    if kind == 3:
        legacy = _make_vods_db(site, app, position)
        contents.import_as_the_core_did(own, legacy.path, app)
    contents.copy_ingress(own, app, forget=kind)
    own.set_marker("vods_import_done")
    own.set_marker("ingress_import_done")


def _open_global(
    site: Site, step: int, *, monolith: bool = False, runtime: tuple[str, ...] = ()
) -> File:
    """Make a global database at a step, with its registry, tokens and logs."""
    file = site.open_global()
    if monolith:
        apply_monolith(file.connection, step)
    else:
        apply_steps(file.connection, GLOBAL_STEPS, step)
    contents.fill_registry(file)
    apply_runtime(file.connection, runtime)
    fill_tenancy(file)
    return file


def _make_vods_db(site: Site, app: str, position: int) -> File:
    file = site.open_vods_db(app)
    lacking = LACKING[position % len(LACKING)]
    apply_vods_db(file.connection, lacking=lacking)
    contents.fill_vods_db(file, app, lacking=lacking, late=position % 2 == 0)
    return file


def _add_unregistered(site: Site, step: int) -> None:
    """Make a folder with an app.db that the registry does not know."""
    own = site.open_app_db("stray-app")
    apply_steps(own.connection, APP_STEPS, step)
    contents.fill_app_db(own, "stray-app", step)


BUILDERS: Final[dict[str, Callable[[Site], None]]] = {
    "monolith": build_monolith,
    "vods_db": build_vods_db,
    "pre_tenancy": build_pre_tenancy,
    "node_split": build_node_split,
    "node_head": build_node_head,
}
