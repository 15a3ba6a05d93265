"""HTML page about a fleet, which loads nothing else; written whole, and over no other file."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import jinja2

from streamhub_orm import __version__
from streamhub_orm.durable_files import write_whole
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import ReportTargetError
from streamhub_orm.maintenance.report.facts import read_fleet
from streamhub_orm.migrations.states import State
from streamhub_orm.owner import as_operator
from streamhub_orm.readable import in_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamhub_orm.maintenance.report.facts import (
        ArchiveFacts,
        DatabaseFacts,
        FleetFacts,
        Progress,
    )

SHOWN: Final = 15
"""Apps that a list of the page shows; the sums are of all."""
MONTHS: Final = 24
_MONTHS_IN_A_COLUMN: Final = 12
BACKUPS: Final = 6
_BEGINNING: Final = "<!doctype html>"
_MIB: Final = 1024**2
_SIZE_CLASSES: Final = (
    ("up to 256 KiB", _MIB // 4),
    ("up to 1 MiB", _MIB),
    ("up to 4 MiB", 4 * _MIB),
    ("up to 16 MiB", 16 * _MIB),
    ("up to 64 MiB", 64 * _MIB),
    ("up to 256 MiB", 256 * _MIB),
    ("up to 1 GiB", 1024 * _MIB),
    ("more", None),
)
_UNUSED_CLASSES: Final = (
    ("up to 1 %", 1),
    ("up to 5 %", 5),
    ("up to 10 %", 10),
    ("up to 25 %", 25),
    ("up to 50 %", 50),
    ("more", None),
)


class Bar(NamedTuple):
    """A line of a chart: a name, a bar as long as its value is large, and the value in words."""

    label: str
    value: int
    shown: str
    remark: str = ""
    is_muted: bool = False


def write_report(
    data_dir: Path,
    target: Path,
    *,
    progress: Progress = lambda *_: None,
    read_archives: Callable[[], list[ArchiveFacts]] = list,
) -> FleetFacts:
    """Write the page about an installation to `target` (mode 0600) and return what it tells.

    What `read_archives` returns is shown too. An older page there is replaced. Raises
    `ReportTargetError` for any other file, and `DataDirError`; then nothing is written.
    """
    target = Path(target).absolute()
    with as_operator(target.parent):
        _require_replaceable(target)
    fleet = read_fleet(data_dir, progress)
    fleet.archives = read_archives()
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


def render_page(fleet: FleetFacts, *, now: datetime | None = None, is_live: bool = False) -> str:
    """Return the page; a live one is served to somebody who has signed in, and may sign out."""
    databases = fleet.databases
    readable = [app for app in fleet.apps if app.pages]
    return _PAGE.render(
        fleet=fleet,
        total=fleet.total,
        version=__version__,
        now=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        unused_bytes=sum(database.unused_bytes for database in databases),
        backups=sum(database.backups for database in databases),
        backup_bytes=sum(database.backup_bytes for database in databases),
        months=_months(fleet),
        months_in_a_column=_MONTHS_IN_A_COLUMN,
        growth=_growth(fleet),
        largest_vods=_largest(fleet, _vod_bytes, lambda app: counted(app.sizes.vod_count, "VOD")),
        largest_databases=_largest(fleet, _file_bytes, lambda app: counted(app.pages, "page")),
        most_unused=_largest(fleet, _unused_bytes, lambda app: f"{app.unused_percent:.0f} %"),
        size_classes=_histogram((app.sizes.db_bytes for app in readable), _SIZE_CLASSES),
        unused_classes=_histogram((app.unused_percent for app in readable), _UNUSED_CLASSES),
        revisions=_revisions(fleet),
        shown=SHOWN,
        is_live=is_live,
    )


def _number(count: int) -> str:
    return f"{count:,}"


def counted(count: int, thing: str) -> str:
    """Return `1 file`, `2,000 files`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("streamhub_orm.maintenance.report", ""),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(bytes=in_bytes, number=_number, counted=counted)
# Read with the module: a process that became another user may not be able to read it later.
_PAGE: Final = _environment.get_template("page.html.j2")


def _vod_bytes(app: DatabaseFacts) -> int:
    return app.sizes.vod_bytes


def _file_bytes(app: DatabaseFacts) -> int:
    return app.sizes.db_bytes + app.sizes.wal_bytes


def _unused_bytes(app: DatabaseFacts) -> int:
    return app.unused_bytes


def _largest(
    fleet: FleetFacts,
    value: Callable[[DatabaseFacts], int],
    remark: Callable[[DatabaseFacts], str],
) -> list[Bar]:
    """Return the first apps by a number of bytes; apps without any are left out."""
    apps = sorted(fleet.apps, key=lambda app: (-value(app), app.name))[:SHOWN]
    return [
        Bar(app.name, size, in_bytes(size), remark(app)) for app in apps if (size := value(app))
    ]


def _months(fleet: FleetFacts) -> list[Bar]:
    """Return the last months from the newest recording back, empty ones included."""
    if not fleet.months:
        return []
    numbers = [12 * int(month[:4]) + int(month[5:]) - 1 for month in fleet.months]
    last = max(numbers)
    bars = []
    for number in range(last, max(last - MONTHS, min(numbers) - 1), -1):
        month = f"{number // 12:04}-{number % 12 + 1:02}"
        bars.append(Bar(month, fleet.months[month], in_bytes(fleet.months[month])))
    return bars


def _growth(fleet: FleetFacts) -> list[Bar]:
    """Return the newest backups of the global database; none where they show no growth."""
    if len(fleet.global_backups) < 2:  # noqa: PLR2004 - one is no growth
        return []
    return [
        Bar(made[:10], size, in_bytes(size))
        for made, size in fleet.global_backups[: -BACKUPS - 1 : -1]
    ]


def _histogram(values: Iterable[float], classes: tuple[tuple[str, int | None], ...]) -> list[Bar]:
    counts = Counter(
        next(label for label, limit in classes if limit is None or value < limit)
        for value in values
    )
    return [Bar(label, counts[label], _number(counts[label])) for label, _ in classes]


def _revisions(fleet: FleetFacts) -> list[Bar]:
    """Return how many apps stand where, the most first; what is not at head is muted."""
    counts = Counter((app.state, app.revision) for app in fleet.apps)
    return [
        Bar(
            f"{state} · {revision}" if revision else str(state),
            count,
            _number(count),
            is_muted=state is not State.CURRENT,
        )
        for (state, revision), count in counts.most_common()
    ]
