"""Text as a person may see it: nothing in it steers a terminal or forges a line of a log."""

from __future__ import annotations

import unicodedata
from typing import Final

_STEERING: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of controls, formats such as the bidi ones, surrogates and line breaks."""
_JOINERS: Final = "\u200c\u200d"
"""Formats that belong to words of Persian and to emoji, and move nothing."""


def visible(text: str) -> str:
    r"""Return the text with what is no character to be seen as `\x1b`, `\n` or `\u202e`.

    Names in databases and of files come from whoever could write them. A terminal obeys the escape
    sequences in them, and a line break makes a line of its own. A text made visible stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(each) if _steers(each) else each for each in text)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _STEERING and character not in _JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
