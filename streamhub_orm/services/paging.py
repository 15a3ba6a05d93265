"""Pages of a list: the key at which one ends, and the refusal of an invalid page."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from streamhub_orm.errors import StoredValueError

__all__ = ["PageKey", "check_page"]

_WORD: Final = re.compile(r"(?P<time>[^/]*)/(?P<id>-?\d{1,18})", re.ASCII)


class PageKey(NamedTuple):
    """Time and id of a page's last row, as they are stored: two values that JSON can hold.

    Whoever has it reads the next page at the cost of the first, and rows that come or go meanwhile
    neither repeat nor hide others.
    """

    time_text: str | None
    id: int

    def __str__(self) -> str:
        """Return it as one word, which `from_text` reads."""
        return f"{(self.time_text or '').replace(' ', '_')}/{self.id}"

    @classmethod
    def from_text(cls, text: str) -> PageKey:
        """Read what `str()` gave; raises `StoredValueError`."""
        match = _WORD.fullmatch(text)
        if match is None:
            expected = "the key of a page, such as 2026-01-31T12:00:00.000Z/7"
            raise StoredValueError(expected, text)
        return cls(match["time"].replace("_", " ") or None, int(match["id"]))


def check_page(limit: int, *, after: PageKey | None = None, offset: int = 0) -> None:
    """Refuse what gives no page; raises `StoredValueError`.

    That is a limit below 1, an offset below 0 or from a key, and a key that was made by hand and
    is none.
    """
    for kind, number, least in (("a limit", limit, 1), ("an offset", offset, 0)):
        if type(number) is not int or number < least:
            expected = f"{kind} that is a whole number from {least}"
            raise StoredValueError(expected, number)
    if after is None:
        return
    if offset:
        expected = "an offset of 0 where a key says after what"
        raise StoredValueError(expected, offset)
    time, id_ = after
    if type(id_) is not int or time == "" or not (time is None or isinstance(time, str)):
        expected = "the key of a page, as its last row has it"
        raise StoredValueError(expected, tuple(after))
