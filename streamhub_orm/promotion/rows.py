"""Rows of the global database in one form for both sides, in which they are copied and compared.

A row is a line as PostgreSQL's COPY writes it: times in UTC, flags as t and f, JSON with its keys
in order and its numbers in one spelling. Two rows have the same line where services read the same
values from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.engine.sql import quoted
from streamhub_orm.errors import StoredValueError
from streamhub_orm.errors.promotion import UnheldRow
from streamhub_orm.global_db import GlobalBase, Meta, UserSession
from streamhub_orm.legacy.bookkeeping import CLEANUP_BACKUP, OWN_SPLIT_BACKUP, SPLIT_BACKUP
from streamhub_orm.legacy.global_rows import RECORD_KEY
from streamhub_orm.postgresql.fence import MARK_KEY
from streamhub_orm.schema import EnumText, IntBool, JsonText, json_to_text, utc_from_text
from streamhub_orm.schema.types import UtcTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ORDERED: Final = frozenset({"users", "memberships", "nodes"})
"""Tables with a column `rowid` on the server: services read them in the order of their making."""
OF_THE_FILE: Final = (
    SPLIT_BACKUP,
    OWN_SPLIT_BACKUP,
    CLEANUP_BACKUP,
    RECORD_KEY,
    MARK_KEY,
)
"""Keys of `_streamhub_meta` that speak of one side alone, and stay there: backups that lie beside
the file, counts of the legacy rows that stay in it, and how far a move is."""
_NULL: Final = r"\N"
_MOST_INDEXED_BYTES: Final = 2_600
"""What an entry of PostgreSQL's indices holds, with room for what surrounds the value."""
_SURELY_INDEXABLE: Final = _MOST_INDEXED_BYTES // 8
"""So many characters take less than that, be there two columns of four bytes a character."""
_MOST_DIGITS: Final = 4_290
"""Python reads no number with more; as a text of JSON it would stay unreadable."""

_SPECIAL: Final = re.compile("[\\\\\b\f\n\r\t\v]")
_ESCAPES: Final = {
    "\\": r"\\",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}
_ESCAPED: Final = re.compile(r"\\(.)")
_UNESCAPES: Final = {escaped[1]: plain for plain, escaped in _ESCAPES.items()}
_SQL_LENGTH: Final = len("2026-01-31 23:59:59")
_ISO_LENGTH: Final = len("2026-01-31T23:59:59.123Z")
_ISO: Final = re.compile(r"[0-9-]{10}T(?!24)[0-9:]{8}\.[0-9]{3}Z")
_NUL_IN_JSON: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class UnheldError(Exception):
    """Raised for a value that the other side cannot hold; it says why, without the value."""


class Broken:
    """A text of the file that is no UTF-8."""


_BROKEN: Final = Broken()


def decoded(text: bytes) -> str | Broken:
    """Decode a text of the file; for sqlite3's `text_factory`, to which any other is an error."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _BROKEN


def _other(value: object, expected: str) -> UnheldError:
    if value is _BROKEN:
        return UnheldError("text that is no UTF-8")
    kinds = {bytes: "a BLOB", float: "a number with a fraction or of more than 64 bits"}
    kind = kinds.get(type(value), "a number" if isinstance(value, int) else "text")
    return UnheldError(f"{kind} instead of {expected}")


def _text(value: Any) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not str:
        raise _other(value, "text")
    if "\0" in value:
        message = "text with a NUL in it"
        raise UnheldError(message)
    return _escape(value)


def _escape(text: str) -> str:
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)


def _short_text(value: Any, most_bytes: int) -> str:  # noqa: ANN401 - as stored
    text = _text(value)
    if len(text) > _SURELY_INDEXABLE and len(value.encode()) > most_bytes:
        message = f"text of more than {most_bytes:,} bytes, which no index holds"
        raise UnheldError(message)
    return text


def _word(value: Any, words: frozenset[str]) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not str:
        raise _other(value, "text")
    if value not in words:
        message = f"none of the words {', '.join(sorted(words))}, as a CHECK demands"
        raise UnheldError(message)
    return str(value)


def _number(value: Any) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not int:
        raise _other(value, "a whole number of 64 bits")
    return str(value)


def _flag(value: Any) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not int:
        raise _other(value, "a flag")
    return "t" if value else "f"


def _time(value: Any) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not str:
        raise _other(value, "a time")
    try:
        found = utc_from_text(value)
    except StoredValueError:
        message = "no time"
        raise UnheldError(message) from None
    # What nearly all are, in half the time; a day may end at 24:00, which is the next one's 00:00.
    if len(value) == _SQL_LENGTH and value[10] == " " and value[11:13] != "24":
        return f"{value}+00"
    if len(value) == _ISO_LENGTH and _ISO.fullmatch(value):
        fraction = value[19:23].rstrip("0")
        return f"{value[:10]} {value[11:19]}{'' if fraction == '.' else fraction}+00"
    fraction = f".{found.microsecond:06}".rstrip("0") if found.microsecond else ""
    return f"{str(found)[:19]}{fraction}+00"


def _json(value: Any) -> str:  # noqa: ANN401 - as stored
    if value.__class__ is not str:
        raise _other(value, "JSON")
    if "\\u0000" in value and _NUL_IN_JSON.search(value):
        message = "JSON with an escaped NUL in it"
        raise UnheldError(message)
    return _escape(value)


def _refuse_constant(_: str) -> None:
    message = "JSON with NaN or Infinity in it"
    raise UnheldError(message)


def _spelled(number: str) -> int | str:
    """Return a number of JSON with a point or exponent in one spelling, marked as no text.

    No text that PostgreSQL holds has a NUL in it.
    """
    try:
        found = Decimal(number)
        sizes = (found.adjusted(), found.as_tuple().exponent)
        is_long = any(not isinstance(it, int) or abs(it) > _MOST_DIGITS for it in sizes)
    except ArithmeticError:
        is_long = True
    if is_long or len(number) > _MOST_DIGITS:
        message = "JSON with a number of too many digits"
        raise UnheldError(message)
    if found == found.to_integral_value():
        return int(found)
    return "\0" + format(found, "f").rstrip("0")


_DECODE: Final = json.JSONDecoder(
    parse_float=_spelled, parse_constant=_refuse_constant
).decode  # json.loads would make one at each call
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, check_circular=False, separators=(",", ":")
).encode


def _same_json(text: str) -> str:
    """Return JSON in one spelling; raises `UnheldError` for what is none, or no server's."""
    try:
        spelled = _ENCODE(_DECODE(text))
        if not spelled.isascii():
            spelled.encode()
    except UnicodeEncodeError:
        message = "JSON with half a surrogate pair in it"
    except RecursionError:
        message = "JSON of too many levels"
    except ValueError:
        message = "malformed JSON"
    else:
        return spelled
    raise UnheldError(message)


@dataclass(frozen=True)
class Rows:
    """The rows of one table, and how either side is asked for them in the same order."""

    name: str
    columns: tuple[str, ...]
    """As the server has them; `rowid` is the first where it has one."""
    required: tuple[bool, ...]
    converters: tuple[Callable[[Any], str], ...]
    types: tuple[Any, ...]
    json_at: tuple[int, ...]
    """Which of the columns hold JSON."""
    key: tuple[str, ...]
    """Columns by which both sides are put in order."""
    keys_shown: tuple[str, ...]
    """Columns that name a row to an operator; a session's id is a secret."""
    identity: str | None
    """The column that the server counts on by itself."""
    condition: str = ""

    def selected(self, *, first: str = "") -> str:
        """Return the SELECT of the rows in order; the same text on both sides."""
        columns = ", ".join(quoted(it) for it in self.columns)
        order = ", ".join(quoted(it) for it in self.key)
        return f"SELECT {first}{columns} FROM {quoted(self.name)}{self.condition} ORDER BY {order}"  # noqa: S608 - names of the models

    def line(self, row: Sequence[Any]) -> str:
        """Return the line of a row of the file, without its end; raises `UnheldError`."""
        fields = [
            convert(value) if value is not None else _NULL
            for convert, value in zip(self.converters, row, strict=True)
        ]
        if _NULL in fields:
            self._require_values(row)
        return "\t".join(fields)

    def _require_values(self, row: Sequence[Any]) -> None:
        if any(value is None for value, wanted in zip(row, self.required, strict=True) if wanted):
            message = "NULL instead of a value"
            raise UnheldError(message)

    def compared(self, line: str) -> str:
        """Return a line with its JSON in one spelling: what is hashed; raises `UnheldError`."""
        if not self.json_at:
            return line
        fields = line.split("\t")
        changed = False
        for place in self.json_at:
            if fields[place] != _NULL:
                fields[place] = _escape(_same_json(_unescape(fields[place])))
                changed = True
        return "\t".join(fields) if changed else line

    def fault(self, row: Sequence[Any]) -> tuple[str, str] | None:
        """Return which column of a row of the file cannot be held, and why; None for a good row."""
        try:
            self.compared(self.line(row))
        except UnheldError:
            return self._first_fault(row)
        return None

    def _first_fault(self, row: Sequence[Any]) -> tuple[str, str] | None:
        for place, value in enumerate(row):
            try:
                if value is None and self.required[place]:
                    return self.columns[place], "NULL instead of a value"
                if value is not None:
                    text = self.converters[place](value)
                    if place in self.json_at:
                        _same_json(_unescape(text))
            except UnheldError as error:
                return self.columns[place], str(error)
        return None

    def stored(self, line: str) -> list[object]:
        """Return what the file stores for a line of the server's; raises `UnheldError`."""
        return [
            None if field == _NULL else _as_stored(kind, _unescape(field))
            for field, kind in zip(line.split("\t"), self.types, strict=True)
        ]


def _unescape(field: str) -> str:
    if "\\" not in field:
        return field
    return _ESCAPED.sub(lambda match: _UNESCAPES[match[1]], field)


def _as_stored(kind: Any, text: str) -> object:  # noqa: ANN401 - a column's type
    """Return what the file stores; of a time or of JSON nothing is lost."""
    if isinstance(kind, UtcTime):
        return _time_as_stored(kind, text)
    if isinstance(kind, IntBool):
        return int(text == "t")
    if isinstance(kind, sa.Integer):
        return int(text)
    if isinstance(kind, JsonText):
        compact = json_to_text(json.loads(text))
        return compact if _same_json(compact) == _same_json(text) else text
    return text


def _time_as_stored(kind: UtcTime, text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:  # infinity, or a year that Python does not know
        message = "a time beyond the years 1 to 9999"
        raise UnheldError(message) from None
    naive = found.replace(tzinfo=None)
    stored = kind.formatted(naive)
    if utc_from_text(stored) == found:
        return stored
    whole = naive.microsecond % 1000 == 0
    return naive.isoformat(timespec="milliseconds" if whole else "microseconds") + "Z"


@cache
def rows_of_tables() -> tuple[Rows, ...]:
    """Return the rows of all tables of the models, a table after those that it points to."""
    return tuple(_rows_of(table) for table in GlobalBase.metadata.sorted_tables)


def _rows_of(table: sa.Table) -> Rows:
    limits = dict(_index_limits(table))
    has_rowid = table.name in ORDERED
    first = ("rowid",) if has_rowid else ()
    converters = [_converter(column, limits) for column in table.columns]
    kinds = [column.type for column in table.columns]
    keys = tuple(column.name for column in table.primary_key)
    identity = next((it.name for it in table.columns if it.identity is not None), None)
    excluded = ", ".join(f"'{key}'" for key in OF_THE_FILE)
    return Rows(
        name=table.name,
        columns=(*first, *(column.name for column in table.columns)),
        required=(*(True for _ in first), *(not column.nullable for column in table.columns)),
        converters=(*(_number for _ in first), *converters),
        types=(*(sa.INTEGER() for _ in first), *kinds),
        json_at=tuple(
            place
            for place, kind in enumerate(kinds, start=len(first))
            if isinstance(kind, JsonText)
        ),
        key=first or keys,
        keys_shown=() if table is UserSession.__table__ else keys,
        identity="rowid" if has_rowid else identity,
        condition=f" WHERE key NOT IN ({excluded})" if table is Meta.__table__ else "",
    )


def _index_limits(table: sa.Table) -> Iterator[tuple[str, int]]:
    """Yield the columns of text that are in an index, and how many bytes each may have there."""
    constraints = [it.columns for it in table.constraints if isinstance(it, _UNIQUE)]
    for columns in sorted([*constraints, *(it.columns for it in table.indexes)], key=len):
        texts = [it.name for it in columns if isinstance(it.type, sa.Text | EnumText)]
        yield from ((name, _MOST_INDEXED_BYTES // len(texts)) for name in texts)


_UNIQUE: Final = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)


def _converter(column: sa.Column[Any], limits: dict[str, int]) -> Callable[[Any], str]:
    kind = column.type
    if isinstance(kind, EnumText):
        return partial(_word, words=frozenset(word.value for word in kind.words))
    for base, convert in _CONVERTERS:
        if isinstance(kind, base):
            return convert
    if column.name in limits:
        return partial(_short_text, most_bytes=limits[column.name])
    return _text


_CONVERTERS: Final = ((UtcTime, _time), (IntBool, _flag), (JsonText, _json), (sa.Integer, _number))


def _is_showable(key: str) -> bool:
    return "\0" not in key and len(key) <= _SURELY_INDEXABLE


def unheld(rows: Rows, rowid: int, row: Sequence[Any], column: str, reason: str) -> UnheldRow:
    """Name a row that the other side cannot hold."""
    shown: dict[str, object] = {
        name: value
        for name, value in zip(rows.columns, row, strict=True)
        if name in rows.keys_shown and isinstance(value, str | int) and _is_showable(str(value))
    }
    whole = len(shown) == len(rows.keys_shown) > 0 and "rowid" not in rows.columns
    return UnheldRow(rows.name, shown if whole else {"rowid": rowid, **shown}, column, reason)
