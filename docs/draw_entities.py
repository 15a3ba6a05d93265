"""Draw the tables of both schemas as the models give them: docs/entities/*.svg.

Tables stand in lanes: left what others refer to, right of it what refers, far right what stands
alone. Lines keep to the gutters between the lanes, and to the margin above where they pass a lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from streamhub_orm.app_db import AppBase
from streamhub_orm.global_db import GlobalBase

if TYPE_CHECKING:
    from collections.abc import Iterable

    _Point = tuple[float, float]

FOLDER: Final = Path(__file__).resolve().parent / "entities"
SCHEMAS: Final = {"global": GlobalBase.metadata, "app": AppBase.metadata}
UNENFORCED: Final = {
    "global": {
        "apps.tenant_id": "tenants.id",
        "apps.node_id": "nodes.id",
        "api_tokens.tenant_id": "tenants.id",
        "sessions.user_id": "users.id",
    },
    "app": {
        "vods.stream_id": "streams.stream_id",
        "restream_targets.stream_id": "streams.stream_id",
        "vod_variants.vod_id": "vods.id",
    },
}
"""References that the services keep, without a foreign key in the file."""

_ROW, _HEAD, _MARGIN, _GAP, _TRACK, _ROUND = 20, 30, 40, 28, 12, 6
_CHARACTER: Final = 7.3
"""Width of one character of the monospaced font, at 12 px."""
_STYLE: Final = """
:root{--page:#fff;--box:#fff;--head:#1f6feb;--edge:#c4ccd6;--text:#1f2328;--type:#6e7781;--line:#57606a}
@media(prefers-color-scheme:dark){:root{--page:#1b1f26;--box:#22272e;--head:#1a4f9c;--edge:#444c56;
--text:#e6edf3;--type:#9aa5b1;--line:#9aa5b1}}
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--text)}
.name{font-weight:700;fill:#fff}.key{font-weight:700}.type{fill:var(--type);text-anchor:end}
.box{fill:var(--box)}.frame{fill:none;stroke:var(--edge)}.head{fill:var(--head)}
.line{fill:none;stroke:var(--line);stroke-width:1.5}.loose{stroke-dasharray:5 4}
"""


@dataclass
class Box:
    """One table, and where it stands."""

    table: sa.Table
    depth: int = -1
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        """The head and a row for each column."""
        return _HEAD + _ROW * len(self.table.columns)

    def row(self, column: str) -> float:
        """Return the middle of a column's row."""
        return self.y + _HEAD + _ROW * (list(self.table.columns.keys()).index(column) + 0.5)


@dataclass(frozen=True)
class Line:
    """A reference from one column to another."""

    source: Box
    column: str
    target: Box
    referred: str
    enforced: bool

    @property
    def track(self) -> tuple[int, bool]:
        """What lines that may run together have in common."""
        return id(self.target), self.enforced

    @property
    def start(self) -> _Point:
        """The left end of the referring column's row."""
        return self.source.x, self.source.row(self.column)

    @property
    def end(self) -> _Point:
        """The right end of the referred column's row."""
        return self.target.x + self.target.width, self.target.row(self.referred)


def draw(name: str) -> str:
    """Return the SVG of a schema, `global` or `app`."""
    boxes = {table.name: Box(table) for table in SCHEMAS[name].sorted_tables}
    lines = list(_lines(boxes, UNENFORCED[name]))
    _place(list(boxes.values()), lines)
    width = max(box.x + box.width for box in boxes.values()) + _MARGIN
    height = max(box.y + box.height for box in boxes.values()) + _MARGIN
    parts = [*_routes(lines), *(part for box in boxes.values() for part in _drawn(box))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">\n'
        f"<title>Tables of the {name} schema</title>\n<style>{_STYLE}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto" markerUnits="userSpaceOnUse">'
        '<path d="M0 0 8 4 0 8z" fill="var(--line)"/></marker></defs>\n'
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="var(--page)"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _lines(boxes: dict[str, Box], unenforced: dict[str, str]) -> Iterable[Line]:
    enforced = {
        str(key.parent): str(key.column)
        for box in boxes.values()
        for key in sorted(box.table.foreign_keys, key=lambda key: str(key.parent))
    }
    for source, target in (enforced | unenforced).items():
        (table, column), (other, referred) = source.split("."), target.split(".")
        yield Line(boxes[table], column, boxes[other], referred, source in enforced)


def _place(boxes: list[Box], lines: list[Line]) -> None:
    """Give every box its lane and its place in it: near what it refers to."""
    for box in boxes:
        box.depth = _depth(box, lines)
    linked = {id(box) for line in lines for box in (line.source, line.target)}
    lanes = [
        [box for box in boxes if box.depth == depth and id(box) in linked]
        for depth in sorted({box.depth for box in boxes})
    ]
    alone = [box for box in boxes if id(box) not in linked]
    x = float(_MARGIN)
    for lane in (*lanes, alone):
        x += _TRACK * len({line.track for line in lines if line.source in lane})
        lane.sort(key=lambda box: (_height_of_targets(box, lines), box.table.name))
        y, width = float(_MARGIN), max(map(_width, lane))
        for box in lane:
            box.x, box.y, box.width = x, y, width
            y += box.height + _GAP
        x += width + 2 * _GAP


def _depth(box: Box, lines: list[Line]) -> int:
    return max((1 + _depth(line.target, lines) for line in lines if line.source is box), default=0)


def _height_of_targets(box: Box, lines: list[Line]) -> float:
    return fmean([line.target.row(line.referred) for line in lines if line.source is box] or [0])


def _width(box: Box) -> float:
    rows = [len(column.name) + len(_type(column)) + 3 for column in box.table.columns]
    return _CHARACTER * max(*rows, len(box.table.name)) + 24


def _routes(lines: list[Line]) -> Iterable[str]:
    """Draw the lines; those of one kind to one target share a track left of their sources."""
    tracks: dict[float, list[tuple[int, bool]]] = {}
    for line in sorted(lines, key=lambda line: (-line.end[1], line.enforced)):
        used = tracks.setdefault(line.source.x, [])
        if line.track not in used:
            used.append(line.track)
        near = line.source.x - _GAP - _TRACK * used.index(line.track)
        points = [line.start, (near, line.start[1]), (near, line.end[1]), line.end]
        if line.source.depth - line.target.depth > 1:
            far, above = line.end[0] + _GAP, _MARGIN / 2
            points[2:3] = [(near, above), (far, above), (far, line.end[1])]
        loose = "" if line.enforced else " loose"
        yield f'<path class="line{loose}" marker-end="url(#tip)" d="{_rounded(points)}"/>'


def _rounded(points: list[_Point]) -> str:
    """Return the path through the points, with rounded corners."""
    path = "M{:g} {:g}".format(*points[0])
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        into, out = (_toward(corner, other) for other in (before, after))
        path += "L{:g} {:g}Q{:g} {:g} {:g} {:g}".format(*into, *corner, *out)
    return path + "L{:g} {:g}".format(*points[-1])


def _toward(corner: _Point, other: _Point) -> _Point:
    distance = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    share = min(_ROUND, distance / 2) / distance if distance else 0
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share


def _drawn(box: Box) -> Iterable[str]:
    at = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}"'
    yield f'<rect class="box" {at} height="{box.height:g}" rx="5"/>'
    right, bottom = box.x + box.width, box.y + _HEAD
    yield (
        f'<path class="head" d="M{box.x:g} {bottom:g}v{5 - _HEAD}q0-5 5-5H{right - 5:g}q5 0 5 5'
        f'V{bottom:g}z"/><text class="name" x="{box.x + 12:g}" y="{box.y + 19:g}">'
        f"{escape(box.table.name)}</text>"
    )
    for column in box.table.columns:
        y = box.row(column.name) + 4
        kind = ' class="key"' if column.primary_key else ""
        yield (
            f'<text{kind} x="{box.x + 12:g}" y="{y:g}">{escape(column.name)}</text>'
            f'<text class="type" x="{right - 12:g}" y="{y:g}">{_type(column)}</text>'
        )
    yield f'<rect class="frame" {at} height="{box.height:g}" rx="5"/>'


def _type(column: sa.Column[Any]) -> str:
    """Return the model's own type by its name, or SQLite's, with ? where NULL may stand."""
    own = isinstance(column.type, sa.types.TypeDecorator)
    name = type(column.type).__name__ if own else column.type.compile(sqlite.dialect()).lower()
    return name + ("?" if column.nullable else "")


def main() -> None:
    """Write both drawings."""
    FOLDER.mkdir(exist_ok=True)
    for name in SCHEMAS:
        (FOLDER / f"{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main()
