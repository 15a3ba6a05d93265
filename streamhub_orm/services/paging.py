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
    limit: int, *, after: PageKey | None = None, offset: int = 0, untimed: bool = False
) -> None:
    """Raise ValueError for a limit below 1, an offset below 0, or an offset from a key.

    Raises `StoredValueError` for a key that no row has: one without a time, unless rows may be
    `untimed`, or with an empty one. Whatever follows such a key, it would be the wrong page.
    """
    if after is not None:
        time: object = after.time_text  # what a client really sent
        number: object = after.id
        if not (untimed if time is None else isinstance(time, str) and time):
            expected = "the time of a row in the key of a page, which is the `key` of its last row"
            raise StoredValueError(expected, time)
        if not (type(number) is int and -(2**63) <= number < 2**63):
            expected = "the id of a row in the key of a page, which is the `key` of its last row"
            raise StoredValueError(expected, number)
    if limit < 1 or offset < 0 or (after is not None and offset):
        message = f"limit {limit}, offset {offset}, after {after}: limit is 1 or more, offset 0 or "
        message += "more and not together with after"
        raise ValueError(message)
