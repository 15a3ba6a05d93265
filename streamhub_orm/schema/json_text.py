"""JSON as TEXT: written as JavaScript writes it, queried by path, and followed as it is changed."""

import json
import re
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.mutable import Mutable, MutableDict, MutableList
from sqlalchemy.sql.operators import OperatorType, is_comparison
from sqlalchemy.types import TypeDecorator, TypeEngine

from streamhub_orm.errors import HiddenValueError, StoredValueError
from streamhub_orm.schema.types import POSTGRESQL, FieldType

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSERVABLE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])", re.IGNORECASE)
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode  # json.dumps would make an encoder at each call
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


def json_from_text(stored: Any) -> Any:  # noqa: ANN401 - any JSON
    """Read stored JSON; raises `HiddenValueError`."""
    try:
        return json.loads(stored)
    except json.JSONDecodeError as error:
        found = f"text with a fault at line {error.lineno} column {error.colno}"
    except RecursionError:
        found = "text of too many levels"
    except ValueError:
        found = "text with a number of too many digits"
    except TypeError:
        found = f"a value of type {type(stored).__name__}"
    expected = "JSON text"
    raise HiddenValueError(expected, found)  # outside of the block: json's error holds the text


def json_to_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return compact JSON as JSON.stringify writes it; raises `HiddenValueError`."""
    try:
        text = _ENCODE(value)
    except RecursionError:
        found = "too many levels, or a value that holds itself"
    except TypeError as error:
        found = str(error)  # names a type
    except ValueError:
        found = "a number that is not finite or too long, or a value that holds itself"
    else:
        return _without_half_pairs(text)
    expected = "a value that JSON can hold"
    raise HiddenValueError(expected, found)


def json_to_server(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return compact JSON as PostgreSQL's JSONB can hold it; raises `HiddenValueError`.

    That is JSON without NUL and without half a surrogate pair, which SQLite does hold, escaped.
    """
    text = json_to_text(value)
    if _UNSERVABLE.search(text):
        expected = "JSON that PostgreSQL can hold, without NUL"
        found = "one with an escaped NUL or half a surrogate pair in it"
        raise HiddenValueError(expected, found)
    return text


def _without_half_pairs(text: str) -> str:
    if text.isascii():
        return text
    # Half a surrogate pair has no UTF-8 form; JSON.stringify escapes it too.
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class _JsonPart(TypeDecorator[Any]):
    """What lies at a path of a JSON column: text, a number, or JSON text of an object or list."""

    impl = sa.Text
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator[Any]):  # noqa: N801 - SQLAlchemy's protocol
        """Compares only what is valid JSON, in the words of the index that may serve it."""

        def operate(
            self,
            op: OperatorType,
            *other: Any,  # noqa: ANN401 - SQLAlchemy's protocol
            **options: Any,  # noqa: ANN401 - SQLAlchemy's protocol
        ) -> sa.ColumnElement[Any]:
            """Return the condition."""
            if isinstance(self.expr, sa.Case) and is_comparison(op):
                valid, part = self.expr.whens[0]
                return sa.and_(valid, part.operate(op, *other, **options))
            return super().operate(op, *other, **options)

        def __getitem__(self, key: str | int) -> sa.ColumnElement[Any]:
            """Return what lies further down."""
            (_, part), *_ = cast("sa.Case[Any]", self.expr).whens
            column, path = cast("sa.Function[Any]", part).clauses
            return _part(column, str(path).strip("'").replace("''", "'") + _step(key))

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:  # noqa: ANN401 - SQLAlchemy's protocol
        """Bind a value by its own type: JSON holds numbers, too."""
        return self.impl_instance.coerce_compared_value(op, value)


def _part(column: sa.ColumnElement[Any], path: str) -> sa.Case[Any]:
    # A path that is bound would meet no index.
    quoted = path.replace("'", "''")
    part = sa.func.json_extract(column, sa.literal_column(f"'{quoted}'"), type_=_JsonPart())
    return sa.case((sa.func.json_valid(column), part))


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]" if key >= 0 else f"[#{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f".{key}"
    if '"' in key or not key.isprintable():
        expected = "a key of JSON that a path can name, without quotation marks"
        raise StoredValueError(expected, key)
    return f'."{key}"'


class JsonText(FieldType):
    """JSON as TEXT, written as JavaScript's JSON.stringify does; on PostgreSQL JSONB.

    `column["key"]`, and so on inwards, is what lies there: text, a number, 0 or 1 for a flag, None
    for null, or JSON text. A comparison with it holds only for rows that hold valid JSON, and is
    served by an index on the same path with `json_valid`. Raises `StoredValueError` for a key with
    quotation marks.
    """

    cache_ok = True
    server_type = postgresql.JSONB(none_as_null=True)

    class comparator_factory(TypeDecorator.Comparator[Any]):  # noqa: N801 - SQLAlchemy's protocol
        """Adds the path to what a column of text can do."""

        def __getitem__(self, key: str | int) -> sa.ColumnElement[Any]:
            """Return what lies at a key of the object, or at an index of the list."""
            return _part(self.expr, "$" + _step(key))

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - any JSON
        """Write compact JSON; None is NULL."""
        if value is None or dialect.name == POSTGRESQL:  # whose driver writes it by json_to_server
            return value
        return json_to_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - any JSON
        """Read JSON; NULL is None."""
        if value is None or dialect.name == POSTGRESQL:
            return value
        return json_from_text(value)

    def to_stored(self, value: Any) -> str:  # noqa: ANN401 - any JSON
        """Return compact JSON."""
        return json_to_text(value)

    def from_stored(self, stored: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of JSON text."""
        return json_from_text(stored)


class _Malformed(MutableDict[str, Any]):
    """A stored text that is no JSON object or list: whoever uses it gets the error of its row.

    It can be replaced, and the rows beside it are read.
    """

    column = "a column"

    def __init__(self, error: HiddenValueError) -> None:
        """Keep what was expected and found."""
        super().__init__(error=error)  # empty, it would be written as {}
        self.expected, self.described = error.kind, error.value

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same, which SQLAlchemy asks when it is replaced."""
        return self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show that there is nothing to show."""
        return f"<{self.described}; expected {self.expected}>"

    def _refuse(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - it never returns
        expected = f"{self.expected} in {self.column}"
        raise HiddenValueError(expected, self.described)

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse
    get = keys = values = items = copy = __or__ = __ror__ = __ior__ = _refuse
    setdefault = update = pop = popitem = clear = __reversed__ = _refuse


class TrackedJson(JsonText):
    """JSON text of an object or list; what is malformed is refused where it is used."""

    cache_ok = True

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ANN401 - any JSON
        """Read JSON; NULL is None."""
        try:
            found = super().process_result_value(value, dialect)
        except HiddenValueError as error:
            return _Malformed(error)
        if found is None or isinstance(found, dict | list):
            return found
        expected = "a JSON object or list"
        return _Malformed(HiddenValueError(expected, f"a value of type {type(found).__name__}"))


class _Tracked(Mutable):
    """An object or list whose changes are seen."""

    @classmethod
    def coerce(cls, key: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return what is assigned or loaded as one that tells of its changes."""
        if isinstance(value, _Malformed):
            value.column = key
        if value is None or isinstance(value, MutableDict | MutableList):
            return value
        if isinstance(value, dict):
            return MutableDict(value)
        if isinstance(value, list):
            return MutableList(value)
        expected = "a JSON object or list"
        raise StoredValueError(expected, value)


def tracked_json() -> TypeEngine[Any]:
    """Return the type of a JSON column that holds an object or a list, and follows its changes.

    The row must be held meanwhile: a session forgets one that nobody holds. A change inside a value
    that lies in it goes unseen: assign that value anew. What is stored and no such JSON raises
    `HiddenValueError` where it is used, not where its row is loaded.
    """
    return _Tracked.as_mutable(TrackedJson)
