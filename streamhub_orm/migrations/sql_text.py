"""SQL text in a form that two spellings of the same clause share.

SQLite keeps CHECKs, collations and AUTOINCREMENT only in the text of CREATE TABLE, so the text
has to be read. It is tokenised, never parsed further than the parentheses.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[^\W\d]\w*|\d+(?:\.\d+)?)
      | (?P<sign><=|>=|<>|!=|==|\|\||->>|->|.)""",
    re.VERBOSE | re.DOTALL,
)


def tokens(sql: str) -> list[str]:
    """Split SQL into tokens: words and identifiers in lower case, identifiers without quotes."""
    found = []
    for match in _TOKEN.finditer(sql):
        text = match.group()
        if match.lastgroup == "blank":
            continue
        found.append(_normal(text, match.lastgroup))
    return found


def _normal(text: str, kind: str | None) -> str:
    if kind == "string":
        return text
    if kind == "quoted":
        closing = text[-1]
        return text[1:-1].replace(closing * 2, closing).lower()
    return text.lower()


def without_outer_parentheses(found: list[str]) -> list[str]:
    """Strip parentheses that enclose the whole expression."""
    while len(found) > 1 and found[0] == "(" and closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def closing(found: list[str], start: int) -> int:
    """Return the position of the parenthesis that closes the one at `start`."""
    depth = 0
    for position in range(start, len(found)):
        depth += {"(": 1, ")": -1}.get(found[position], 0)
        if depth == 0:
            return position
    return len(found) - 1


def expression(found: list[str]) -> str:
    """Join an expression's tokens; the literals of an IN list are put in order."""
    found = without_outer_parentheses(found)
    for position, token in enumerate(found[:-1]):
        if token == "in" and found[position + 1] == "(":  # noqa: S105 - a token of SQL
            end = closing(found, position + 1)
            literals = sorted(item for item in found[position + 2 : end] if item != ",")
            found = [*found[: position + 2], " , ".join(literals), *found[end:]]
    return " ".join(found)


def checks(table_sql: str) -> list[str]:
    """Return every CHECK expression of a CREATE TABLE statement, normalised and sorted."""
    found = tokens(table_sql)
    return sorted(
        expression(found[position + 1 : closing(found, position + 1) + 1])
        for position, token in enumerate(found)
        if token == "check" and found[position + 1 : position + 2] == ["("]  # noqa: S105
    )


def reactions(table_sql: str) -> list[str]:
    """Return what a table does otherwise than by default with a row that breaks a rule.

    ON CONFLICT REPLACE deletes the other row silently; a deferred key is checked at commit only.
    """
    found = tokens(table_sql)
    named = [
        f"on conflict {found[position + 2]}"
        for position in range(len(found) - 2)
        if found[position : position + 2] == ["on", "conflict"] and found[position + 2] != "abort"
    ]
    deferred = [
        "initially deferred"
        for position in range(len(found) - 1)
        if found[position : position + 2] == ["initially", "deferred"]
    ]
    return sorted(named + deferred)


def collations(table_sql: str) -> dict[str, str]:
    """Return the collation of each column that declares one."""
    found = tokens(table_sql)
    body = found[found.index("(") + 1 :] if "(" in found else []
    declared: dict[str, str] = {}
    column, depth = (body[0] if body else ""), 0
    for position, token in enumerate(body):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and token == "," and position + 1 < len(body):  # noqa: S105
            column = body[position + 1]
        if depth == 0 and token == "collate":  # noqa: S105
            declared[column] = body[position + 1]
    return declared
