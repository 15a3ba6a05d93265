"""Identifiers in SQL text, where no parameter can stand."""


def quoted(identifier: str) -> str:
    """Return an SQL identifier in double quotes."""
    return '"' + identifier.replace('"', '""') + '"'
