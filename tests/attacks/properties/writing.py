"""Writes a planned installation to the disk by sqlite3 alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.installations import Options
from tests.support.installations.accounts import fill_accounts, fill_tenancy
from tests.support.installations.ddl import (
    APP_STEPS,
    GLOBAL_MONOLITH,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
    apply_vods_db,
)
from tests.support.installations.facts import SPLIT_DONE
from tests.support.installations.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.installations.facts import Row
    from tests.support.installations.site import File

    from .plans import AppPlan, GlobalPlan, LegacyFile, OwnFile, Rows, SitePlan

FIRST_STEP: Final = {"streams": 1, "vods": 2, "ingress_auth": 3}
META_STEP: Final = 3
GLOBAL_INGRESS_STEP: Final = 4
GLOBAL_PLATFORM_STEP: Final = 6
GLOBAL_META_STEP: Final = 7
STRAY: Final = "stray"


def write_site(plan: SitePlan, data_dir: Path) -> None:
    """Write an installation into a new folder."""
    data_dir.mkdir()
    site = Site(
        data_dir, layout=plan.layout, apps=len(plan.apps), rows=0, seed=1, options=Options()
    )
    _write_global(site.open_global(), plan.global_file)
    for name, app in zip(site.apps, plan.apps, strict=True):
        _write_app(site, name, app)
    if plan.unregistered:
        apply_steps(site.open_app_db(STRAY).connection, APP_STEPS, 8)
    site.finish()


def _write_global(file: File, plan: GlobalPlan) -> None:
    apply_steps(file.connection, GLOBAL_STEPS, plan.step)
    apply_runtime(file.connection, plan.additions)
    for table in plan.legacy_tables:
        file.connection.executescript(GLOBAL_MONOLITH[table])
    _fill_registry(file, plan)
    tables = [*plan.legacy_tables]
    if plan.step >= GLOBAL_INGRESS_STEP:
        tables.append("ingress_auth")
    if plan.split_done and plan.step >= GLOBAL_META_STEP:
        file.set_marker(SPLIT_DONE)
    _insert(file, plan.rows, tables, late=plan.late)
    if plan.user_version is not None:
        file.set_user_version(plan.user_version)


def _fill_registry(file: File, plan: GlobalPlan) -> None:
    """A row or two in every table that is not moved."""
    maker = file.site.maker("registry")
    file.insert("apps", [maker.app(app_id, name) for name, app_id in file.site.apps.items()])
    owners = [None, *file.site.apps.values()]
    if plan.step >= 2:
        file.insert("api_tokens", [maker.token(1 + n, it) for n, it in enumerate(owners)])
    if plan.step >= 3:
        file.insert("server_logs", [maker.log(1 + n, it) for n, it in enumerate(owners)])
    fill_tenancy(file)
    if plan.step >= GLOBAL_PLATFORM_STEP:
        fill_accounts(file)


def _write_app(site: Site, name: str, plan: AppPlan) -> None:
    if plan.legacy is not None:
        _write_legacy(site, name, plan.legacy)
    if plan.own is None:
        return
    if plan.own.step == 0:
        site.leave_empty_app_db(name)
        return
    file = site.open_app_db(name)
    # What the core copied lay in the file before a writer of today was killed.
    untouched = plan.core_import == plan.core_copy == "none"
    _write_own(file, plan.own, late=plan.own.late and untouched)
    legacy = plan.legacy is not None and not plan.legacy.empty
    markers = set(plan.own.markers)
    if plan.own.step >= max(FIRST_STEP["streams"], FIRST_STEP["vods"]):
        if legacy and plan.core_import != "none":
            _import_as_the_core_did(site, file, name, whole=plan.core_import == "all")
            if plan.core_import == "all":
                markers.add("vods_import_done")
        _copy_from_global(site, file, name, plan.core_copy)
        if plan.updated:
            file.connection.execute("UPDATE streams SET room = 'since' WHERE id < 3")
            file.connection.execute("UPDATE vods SET public_url = 'since' WHERE id < 3")
    if plan.own.step >= META_STEP:
        for marker in sorted(markers):
            file.set_marker(marker)


def _write_own(file: File, plan: OwnFile, *, late: bool) -> None:
    apply_steps(file.connection, APP_STEPS, plan.step)
    tables = [table for table, step in FIRST_STEP.items() if step <= plan.step]
    if plan.burnt_id is not None:
        file.burn_ids("streams", _bare_stream(plan.burnt_id))
    _insert(file, plan.rows, tables, late=late)
    if plan.step >= 7:
        maker = file.site.maker("own")
        file.insert("app_plugins", [{"plugin_id": "chat", "config_json": None}])
        file.insert("vod_variants", [maker.variant(1, 1)])
        file.insert("restream_targets", [maker.target(1, "live")])
    if plan.user_version is not None:
        file.set_user_version(plan.user_version)


def _write_legacy(site: Site, name: str, plan: LegacyFile) -> None:
    if plan.empty:
        site.leave_empty_app_db(name)
        (site.data_dir / "apps" / name / "app.db").rename(site.data_dir / "apps" / name / "vods.db")
        return
    file = site.open_vods_db(name)
    apply_vods_db(file.connection, lacking=plan.lacking)
    known = [{k: v for k, v in row.items() if k not in plan.lacking} for row in plan.rows.vods]
    file.insert("streams", plan.rows.streams, late=plan.late)
    file.insert("vods", known, late=plan.late)


def _import_as_the_core_did(site: Site, file: File, name: str, *, whole: bool) -> None:
    """Run the core's two INSERTs, or the first alone; what is taken is skipped."""
    path = site.open_vods_db(name).path
    file.connection.execute("ATTACH ? AS source", (str(path),))
    for table in ("streams", "vods") if whole else ("streams",):
        _copy(file, table)
    file.connection.execute("DETACH source")


def _copy_from_global(site: Site, file: File, name: str, what: str) -> None:
    file.connection.execute("ATTACH ? AS source", (str(site.open_global().path),))
    for table in ("streams", "vods") if what == "all" else (what,):
        _copy(file, table, f"WHERE app_id = {site.apps[name]}")
    file.connection.execute("DETACH source")


def _copy(file: File, table: str, condition: str = "") -> None:
    """Copy the columns that the source has, if it has the table at all."""
    found = file.connection.execute(f"PRAGMA source.table_info({table})").fetchall()
    if found:
        names = ", ".join(row[1] for row in found)
        file.connection.execute(
            f"INSERT OR IGNORE INTO main.{table} ({names})"
            f" SELECT {names} FROM source.{table} {condition}"
        )


def _insert(file: File, rows: Rows, tables: list[str], *, late: bool) -> None:
    for table in tables:
        file.insert(table, getattr(rows, table), late=late)


def _bare_stream(number: int) -> Row:
    return {"id": number, "app_id": 1, "stream_id": "burnt", "type": "webrtc"}
