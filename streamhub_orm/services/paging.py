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


def check_page(
    limit: int,
    *,
    most: int | None = None,
    after: PageKey | None = None,
    offset: int = 0,
    untimed: bool = False,
) -> None:
    """Refuse what gives no page; raises `StoredValueError`.

    That is a limit below 1 or above `most`, an offset below 0 or from a key, and a key that no row
    has: one without a time, unless rows may be `untimed`, or with an empty one. Whatever follows
    such a key, it would be the wrong page.
    """
    for kind, number, least in (("a limit", limit, 1), ("an offset", offset, 0)):
        if type(number) is not int or number < least:
            expected = f"{kind} that is a whole number from {least}"
            raise StoredValueError(expected, number)
    if most is not None and limit > most:
        expected = f"a limit that is at most {most}"
        raise StoredValueError(expected, limit)
    if after is None:
        return
    if offset:
        expected = "an offset of 0 where a key says after what"
        raise StoredValueError(expected, offset)
    time: object = after.time_text  # what a client really sent
    id_: object = after.id
    if not (untimed if time is None else isinstance(time, str) and time):
        expected = "the time of a row in the key of a page, which is the `key` of its last row"
        raise StoredValueError(expected, time)
    if not (type(id_) is int and -(2**63) <= id_ < 2**63):
        expected = "the id of a row in the key of a page, which is the `key` of its last row"
        raise StoredValueError(expected, id_)
