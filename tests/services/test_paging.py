"""The key of a page as one word, and what no key is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import StoredValueError
from streamhub_orm.services import logs, vods
from streamhub_orm.services.paging import PageKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

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


TIME = "2026-01-31T12:00:00.000Z"


@pytest.mark.parametrize(
    "key",
    [
        PageKey("", 7),
        PageKey(5, 7),  # type: ignore[arg-type]
        PageKey(TIME, "7"),  # type: ignore[arg-type]
        PageKey(TIME, None),  # type: ignore[arg-type]
        PageKey(TIME, 7.5),  # type: ignore[arg-type]
        PageKey(TIME, id=True),
        PageKey(TIME, 2**63),
    ],
)
def test_key_that_no_row_has_is_refused_and_gives_no_empty_page(
    app_session: Session, global_session: Session, key: PageKey
) -> None:
    """A client may hand in anything in the place of the two values."""
    for order in vods.VodOrder:
        with pytest.raises(StoredValueError, match="the `key` of its last row"):
            vods.list_(app_session, order=order, after=key)
    with pytest.raises(StoredValueError, match="the `key` of its last row"):
        logs.list_(global_session, after=key)


def test_key_without_a_time_leads_on_among_recordings_and_nowhere_in_the_log(
    app_session: Session, global_session: Session
) -> None:
    """Every line of the log has a time; a recording may have none."""
    ids = [vods.create(app_session, name="v", started_at=None).id for _ in range(3)]
    first = vods.list_(app_session, limit=1)
    rest = vods.list_(app_session, after=PageKey.from_text(str(first[-1].key)))
    assert [row.id for row in first + rest] == ids[::-1]
    with pytest.raises(StoredValueError, match="the time of a row"):
        logs.list_(global_session, after=PageKey.from_text("/5"))
