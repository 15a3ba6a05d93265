"""The page on the disk: whole or not at all, and never over a file that is no page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import write_whole
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import ReportTargetError
from streamhub_orm.maintenance.report.facts import FleetFacts, read_fleet
from streamhub_orm.maintenance.report.page import render_page
from streamhub_orm.owner import as_operator

if TYPE_CHECKING:
    from streamhub_orm.maintenance.report.facts import Progress

_BEGINNING = "<!doctype html>"


def write_report(
    data_dir: Path, target: Path, *, progress: Progress = lambda *_: None
) -> FleetFacts:
    """Write the page about an installation to `target` (mode 0600) and return what it tells.

    An older page there is replaced. Raises `ReportTargetError` for any other file,
    `MissingExtraError` without the extra `report`, and `DataDirError`; then nothing is written.
    """
    target = Path(target).absolute()
    with as_operator(target.parent):
        _require_replaceable(target)
    fleet = read_fleet(data_dir, progress)
    page = render_page(fleet)
    with translated(target, "writing the report"), as_operator(target.parent):
        write_whole(target, page.encode(), mode=0o600)
    return fleet


def _require_replaceable(target: Path) -> None:
    if not target.parent.is_dir():
        raise ReportTargetError(target, f"no folder {target.parent}")
    if target.is_dir() or (target.exists() and not target.is_file()):
        raise ReportTargetError(target, "a folder or a special file")
    if target.is_file() and target.stat().st_size:
        with translated(target, "looking at it"), target.open("rb") as file:
            beginning = file.read(len(_BEGINNING)).decode(errors="replace")
        if beginning.lower() != _BEGINNING:
            raise ReportTargetError(target, "a file that is no HTML page")
