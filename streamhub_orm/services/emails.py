"""E-mail addresses: one form to write and to look up, and rows that hold another one.

The Node core cuts blanks at the ends, turns an address into lower case by Unicode, and compares it
with NOCASE, which knows A to Z alone. So it never finds a stored `É@x.example`, or one with a blank
before it; here they are found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.errors import EmailError
from streamhub_orm.schema import beyond_ascii, utf8

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.orm import InstrumentedAttribute

__all__ = ["is_odd", "normal", "normal_of", "raw", "require_email"]

_BLANKS: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's trim() cuts; Python's strip() cuts others."""
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST: Final = 254


def normal(email: str) -> str:
    """Return the form in which an address is written and looked up."""
    return email.strip(_BLANKS).lower()


def require_email(email: str) -> str:
    """Return the normal form of an address that is to be written. Raises `EmailError`."""
    wanted = normal(email)
    if len(wanted) > _LONGEST or _EMAIL.fullmatch(wanted) is None:
        raise EmailError(email)
    return wanted


def is_odd(column: sa.Column[Any] | InstrumentedAttribute[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that an address may be stored in a form that NOCASE does not find.

    Whether it is the one that is looked for, `normal_of` tells.
    """
    return beyond_ascii(column)


def raw(column: sa.Column[Any] | InstrumentedAttribute[Any]) -> sa.ColumnElement[bytes]:
    """Return a column of addresses as bytes: one that is no UTF-8 must not hide the others."""
    return utf8(column)


def normal_of(stored: bytes) -> str:
    """Return the normal form of an address that `raw` read."""
    return normal(stored.decode(errors="replace"))
