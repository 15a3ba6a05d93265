"""One chart per group, as PNG, from the document that --json writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    Measured = dict[str, dict[str, Any]]

_FLOOR, _OURS, _OTHER = "#9aa5b1", "#1f6feb", "#d29922"
_MILLI, _MICRO = 1e3, 1e6


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draw what was measured; a group whose benchmarks did not run gets no chart."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = document["benchmarks"]
    for name, (needed, paint) in _CHARTS.items():
        if needed <= measured.keys():
            figure = Figure(figsize=(9, 4), layout="constrained")
            paint(figure, measured)
            figure.suptitle(_caption(document["machine"]), fontsize=7, color="#57606a", y=-0.02)
            figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight")


def _caption(machine: dict[str, Any]) -> str:
    return (
        f"{machine['date']}, {machine['cores']} cores, {machine['file_system']}, Python "
        f"{machine['python']}, SQLite {machine['sqlite']}, SQLAlchemy {machine['sqlalchemy']}"
    )


def _fleet(figure: Figure, measured: Measured) -> None:
    """Cost per app as the fleet grows."""
    found = _numbered(measured["growth"]["results"], r"(at head|behind), (\d+) apps")
    for axes, state in zip(figure.subplots(1, 2), ("at head", "behind"), strict=True):
        points = sorted(found[state].items())
        apps = [count for count, _ in points]
        axes.plot(apps, [r["floor"] * _MILLI for _, r in points], "o--", color=_FLOOR)
        axes.plot(apps, [r["ours"] * _MILLI for _, r in points], "o-", color=_OURS)
        axes.set(title=f"upgrade, {state}", xscale="log", xlabel="apps", ylabel="ms per app")
        axes.set_ylim(bottom=0)
        axes.legend(["plain sqlite3", "streamhub-db upgrade"], frameon=False)


def _memory(figure: Figure, measured: Measured) -> None:
    """Memory and descriptors over apps touched."""
    found = _numbered(measured["touch"]["results"], r"touch: (.*) after (\d+) apps")
    _flat(figure, found, "apps touched in turn")


def _endurance(figure: Figure, measured: Measured) -> None:
    """Memory and descriptors over requests."""
    found = _numbered(measured["endure"]["results"], r"endure: (.*) after (\d+) requests")
    _flat(figure, found, "requests of 8 clients, many more apps than may be open")


def _flat(figure: Figure, found: dict[str, dict[int, dict[str, Any]]], over: str) -> None:
    labels = {"peak memory": "MiB", "descriptors": "open descriptors"}
    for axes, (kind, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        points = sorted(found[kind].items())
        values = [result["ours"] for _, result in points]
        axes.plot([count for count, _ in points], values, "o-", color=_OURS)
        axes.set(title=kind, xscale="log", xlabel=over, ylabel=label)
        axes.set_ylim(bottom=0, top=1.3 * max(values))


def _split(figure: Figure, measured: Measured) -> None:
    """Rows per second of the split."""
    for axes, name in zip(figure.subplots(1, 2), ("split_many", "split_one"), strict=True):
        phase, whole, after, _ = measured[name]["results"]
        bars = {
            "sqlite3,\nindices in place": (1 / phase["floor"], _FLOOR),
            "sqlite3,\nindices after": (1 / after["ours"], _FLOOR),
            "the split": (1 / phase["ours"], _OURS),
            "whole run\nwith backup": (1 / whole["ours"], _OTHER),
        }
        _bars(axes, bars, "rows per second", measured[name]["about"])


def _lookups(figure: Figure, measured: Measured) -> None:
    """Microseconds per look-up."""
    statement, _, in_one, entity, *_ = measured["lookup"]["results"]
    bars = {
        "sqlite3": (statement["floor"] * _MICRO, _FLOOR),
        "statement,\nheld connection": (statement["ours"] * _MICRO, _OURS),
        "entity,\nheld session": (in_one["ours"] * _MICRO, _OURS),
        "entity,\na session each": (entity["ours"] * _MICRO, _OURS),
    }
    _bars(figure.subplots(), bars, "µs per recording", measured["lookup"]["about"])


def _services(figure: Figure, measured: Measured) -> None:
    """Each hot call as a ratio to its floor, with the goal as a mark."""
    first = [measured[name]["results"][0] for name in _SERVICES]
    axes = figure.subplots()
    labels = [f"{result['label']}\n{result['ours'] * _MICRO:,.0f} µs" for result in first]
    drawn = axes.barh(labels, [result["ratio"] for result in first], color=_OURS, height=0.6)
    axes.bar_label(drawn, [f"{result['ratio']:.2f}x" for result in first], padding=4, fontsize=8)
    axes.axvline(1, color=_FLOOR, linestyle="--", label="plain sqlite3")
    goals = [result["goal"] for result in first]
    axes.plot(goals, labels, "|", color=_OTHER, markersize=22, markeredgewidth=3, label="goal")
    axes.set(title="hot calls of the services", xlabel="times plain sqlite3", xlim=(0, 4.4))
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(frameon=False, loc="lower right")


def _load(figure: Figure, measured: Measured) -> None:
    """Throughput of each way to run, and the slowest call of a hundred."""
    results = measured["load"]["results"]
    ways = {r["label"].removeprefix("load, "): r for r in results if r["label"].startswith("load")}
    slow = [r for r in results if r["label"] == "  99th percentile"]
    kinds = (
        (
            "requests per second",
            "{:,.0f}",
            [(1 / r["floor"], 1 / r["ours"]) for r in ways.values()],
        ),
        (
            "99th percentile, ms",
            "{:,.1f}",
            [(r["floor"] * _MILLI, r["ours"] * _MILLI) for r in slow],
        ),
    )
    for axes, (title, form, pairs) in zip(figure.subplots(1, 2, sharey=True), kinds, strict=True):
        places = range(len(pairs))
        for side, color, shift in ((0, _FLOOR, -0.2), (1, _OURS, 0.2)):
            values = [pair[side] for pair in pairs]
            drawn = axes.barh([at + shift for at in places], values, 0.4, color=color)
            axes.bar_label(drawn, map(form.format, values), padding=3, fontsize=7)
        axes.set(title=title, yticks=places, yticklabels=list(ways))
        axes.margins(x=0.2)
    axes.invert_yaxis()
    axes.legend(["plain sqlite3", "services"], frameon=False, fontsize=8)


def _bars(axes: Axes, bars: dict[str, tuple[float, str]], label: str, title: str) -> None:
    heights = [height for height, _ in bars.values()]
    drawn = axes.bar(list(bars), heights, color=[color for _, color in bars.values()], width=0.6)
    axes.bar_label(drawn, [f"{height:,.0f}" for height in heights], fontsize=8)
    axes.set(title=title, ylabel=label)
    axes.tick_params(axis="x", labelsize=7)


def _numbered(results: list[dict[str, Any]], pattern: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Sort results with a number in their label: by what is before it, then by the number."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for result in results:
        match = re.fullmatch(pattern, result["label"])
        if match:
            found.setdefault(match[1], {})[int(match[2])] = result
    return found


_SERVICES: Final = ("token", "vod-by-egress", "stream-upsert", "vod-page", "log-lines")
_CHARTS: Final[dict[str, tuple[set[str], Callable[[Figure, Measured], None]]]] = {
    "fleet": ({"growth"}, _fleet),
    "memory": ({"touch"}, _memory),
    "split": ({"split_many", "split_one"}, _split),
    "lookups": ({"lookup"}, _lookups),
    "services": (set(_SERVICES), _services),
    "load": ({"load"}, _load),
    "endurance": ({"endure"}, _endurance),
}
