"""The step boundaries that Python can see: every statement, and the calls of `os`.

They serve where no shim can be compiled. SQLite's own writes lie between them.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

AUDITED: Final = {
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.truncate",
    "shutil.copyfile",
}
NOT_AUDITED: Final = ("fsync", "fdatasync", "write", "pwrite", "sendfile", "ftruncate")


def watch(reached: Callable[[str], None]) -> None:
    """Call `reached` with a word before every statement and every call that changes a file.

    A statement may be one of SQLite's or of a server's.
    """

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        creates = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if event in AUDITED or creates:
            reached(f"{event} {arguments[0]}")

    sys.addaudithook(audit)
    for name in NOT_AUDITED:
        setattr(os, name, _announced(name, getattr(os, name), reached))
    for kind, name in ((psycopg.Connection, "execute"), (psycopg.Cursor, "copy")):
        setattr(kind, name, _announced(f"server {name}", getattr(kind, name), reached))
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
        connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda sql: reached(f"statement {sql[:60]}"))
        return connection

    sqlite3.connect = traced


def killer(number: int, count: Callable[[str], int]) -> Callable[[str], None]:
    """Return what kills this process at the n-th point; `count` counts it and tells its number."""

    def reached(word: str) -> None:
        if count(word) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _announced(
    name: str, real: Callable[..., Any], reached: Callable[[str], None]
) -> Callable[..., Any]:
    def announced(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        reached(name)
        return real(*arguments, **options)

    return announced
