"""Builds the shim that stands between SQLite and the disk, where there is a C compiler."""

from __future__ import annotations

import ctypes
import enum
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("fault_shim.c")
SHIM_VARIABLE: Final = "STREAMHUB_FAULT_SHIM"
SHARED_BYTES: Final = 4096


class Mode(enum.IntEnum):
    """What happens at the chosen call."""

    COUNT = 0
    KILL = 1
    TORN = 2
    """Write half of it and be killed; where it is no write, be killed."""
    PAUSE = 3
    """Stop until the other side has done what it wants done half-way."""
    FAIL_ONCE = 4
    FAIL_ON = 5
    """Fail, and so does every later one."""


def build_shim() -> Path | None:
    """Compile the shim, once per version of its source; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"streamhub-fault-shim-{os.getuid()}-{digest}.so"
    if not target.exists():
        unfinished = target.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", unfinished, SOURCE, "-ldl"],
            check=True,
            timeout=60,
        )
        unfinished.replace(target)
    return target


def arm(  # noqa: PLR0913 - the arguments of the C function
    shim: str, *, folder: str, mode: Mode, number: int, error: int, shared: int, log: int
) -> None:
    """Let the shim of this process count, and act at a call."""
    ctypes.CDLL(shim).fault_arm(
        os.fsencode(folder),
        ctypes.c_int(mode),
        ctypes.c_long(number),
        ctypes.c_int(error),
        ctypes.c_void_p(shared),
        ctypes.c_int(log),
    )
