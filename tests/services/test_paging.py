"""The key of a page as one word, and what no key is."""

from __future__ import annotations

import pytest

from streamhub_orm.errors import StoredValueError
from streamhub_orm.services.paging import PageKey

KEYS = [
    (PageKey("2026-01-31T12:00:00.000Z", 7), "2026-01-31T12:00:00.000Z/7"),
    (PageKey("2026-01-31 12:00:00", 7), "2026-01-31_12:00:00/7"),
    (PageKey(None, 3), "/3"),
]


@pytest.mark.parametrize(("key", "word"), KEYS)
def test_key_is_one_word_that_can_be_read_again(key: PageKey, word: str) -> None:
    assert str(key) == word
    assert PageKey.from_text(word) == key


@pytest.mark.parametrize(
    "text", ["", "7", "2026-01-31", "a/", "a/b/7", "a/x", "a/7 ", "/" + "9" * 30]
)
def test_text_that_is_no_key_is_refused(text: str) -> None:
    """Among them an id that no row of SQLite can have."""
    with pytest.raises(StoredValueError, match="the key of a page"):
        PageKey.from_text(text)
