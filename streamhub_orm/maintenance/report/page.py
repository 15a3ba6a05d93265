"""From the facts of a fleet to one HTML page that needs nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from streamhub_orm import __version__
from streamhub_orm.errors import MissingExtraError
from streamhub_orm.maintenance.report.charts import NARROW, WIDE, Bar, column_chart
from streamhub_orm.maintenance.sizes import in_bytes
from streamhub_orm.migrations.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import jinja2

    from streamhub_orm.maintenance.report.charts import ColumnChart
    from streamhub_orm.maintenance.report.facts import DatabaseFacts, FleetFacts

SHOWN: Final = 15
"""How many apps a list of the page shows; the sums are of all."""
MONTHS: Final = 24
BACKUPS: Final = 6
_EXTRA: Final = "report"
_COMMAND: Final = "report --html"
_MIB: Final = 1024**2
_SIZE_CLASSES: Final = (
    ("256 KiB", _MIB // 4),
    ("1 MiB", _MIB),
    ("4 MiB", 4 * _MIB),
    ("16 MiB", 16 * _MIB),
    ("64 MiB", 64 * _MIB),
    ("256 MiB", 256 * _MIB),
    ("1 GiB", 1024 * _MIB),
    ("more", None),
)
_UNUSED_CLASSES: Final = (
    ("1 %", 1),
    ("5 %", 5),
    ("10 %", 10),
    ("25 %", 25),
    ("50 %", 50),
    ("more", None),
)


def render_page(fleet: FleetFacts, *, now: datetime | None = None) -> str:
    """Return the page; raises `MissingExtraError` where the extra `report` is not installed."""
    environment = _environment()
    return environment.get_template("page.html.j2").render(
        fleet=fleet,
        total=fleet.total,
        version=__version__,
        now=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        unused_bytes=sum(database.unused_bytes for database in fleet.databases),
        backups=sum(database.backups for database in fleet.databases),
        backup_bytes=sum(database.backup_bytes for database in fleet.databases),
        months=_months(fleet),
        growth=_growth(fleet),
        largest_vods=_top(fleet, lambda it: it.sizes.vod_bytes),
        largest_databases=_top(fleet, lambda it: it.sizes.db_bytes + it.sizes.wal_bytes),
        most_unused=_top(fleet, lambda it: it.unused_bytes),
        size_classes=_histogram((it.sizes.db_bytes for it in _readable(fleet)), _SIZE_CLASSES),
        unused_classes=_histogram((it.unused_percent for it in _readable(fleet)), _UNUSED_CLASSES),
        revisions=_revisions(fleet),
        shown=SHOWN,
    )


def _environment() -> jinja2.Environment:
    try:
        import jinja2  # noqa: PLC0415 - an extra, which only this command needs
    except ImportError as error:
        raise MissingExtraError(_COMMAND, "jinja2", _EXTRA) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("streamhub_orm.maintenance.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bytes"] = in_bytes
    environment.filters["number"] = _number
    return environment


def _number(count: int) -> str:
    return f"{count:,}"


def _round_bytes(count: int) -> str:
    return in_bytes(count).replace(".0 ", " ")


def _readable(fleet: FleetFacts) -> list[DatabaseFacts]:
    return [app for app in fleet.apps if app.pages]


def _top(
    fleet: FleetFacts, key: Callable[[DatabaseFacts], int]
) -> list[tuple[DatabaseFacts, int, float]]:
    """Return the first apps by a number, that number, and its share of the first one in percent."""
    apps = sorted(fleet.apps, key=lambda app: (-key(app), app.name))[:SHOWN]
    found = [(app, key(app)) for app in apps if key(app) > 0]
    return [(app, value, 100 * value / found[0][1]) for app, value in found]


def _months(fleet: FleetFacts) -> ColumnChart | None:
    """Return the chart of the last months up to the newest recording, empty ones included."""
    if not fleet.months:
        return None
    numbers = [12 * int(month[:4]) + int(month[5:]) - 1 for month in fleet.months]
    last = max(numbers)
    bars = []
    for number in range(max(last - MONTHS + 1, min(numbers)), last + 1):
        month = f"{number // 12:04}-{number % 12 + 1:02}"
        bars.append(Bar(month, fleet.months[month], in_bytes(fleet.months[month])))
    return column_chart(bars, width=WIDE, base=1024, in_words=_round_bytes)


def _growth(fleet: FleetFacts) -> ColumnChart | None:
    """Return the chart of the global database's backups; None where they show no growth."""
    if len(fleet.global_backups) < 2:  # noqa: PLR2004 - one is no growth
        return None
    bars = [Bar(made[:10], size, in_bytes(size)) for made, size in fleet.global_backups[-BACKUPS:]]
    return column_chart(bars, width=NARROW, base=1024, in_words=_round_bytes)


def _histogram(values: Iterable[float], classes: tuple[tuple[str, int | None], ...]) -> ColumnChart:
    counts = Counter(
        next(label for label, limit in classes if limit is None or value < limit)
        for value in values
    )
    bars = [Bar(label, counts[label], _number(counts[label])) for label, _ in classes]
    return column_chart(bars, width=NARROW, base=1000, in_words=_number)


def _revisions(fleet: FleetFacts) -> list[tuple[str, int, float, bool]]:
    """Return what stands where, how many apps, their share in percent, and whether that is head."""
    counts = Counter((app.state, app.revision) for app in fleet.apps)
    most = max(counts.values(), default=1)
    return [
        (
            f"{state} · {revision}" if revision else str(state),
            count,
            100 * count / most,
            state is State.CURRENT,
        )
        for (state, revision), count in counts.most_common()
    ]
