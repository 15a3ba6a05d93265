"""A real uvicorn on a free port, ended by its process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADDRESS: Final = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


@contextmanager
def uvicorn_server(
    *arguments: str, cwd: Path, output: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield the process and its port once it takes connections; Ctrl-C ends it.

    What it prints goes into the file `output`.
    """
    with (
        output.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *arguments, "--port", "0"],
            cwd=cwd,
            env={**os.environ, **environment},
            stderr=file,
            stdout=file,
            text=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while (found := _ADDRESS.search(output.read_text())) is None:
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process, int(found[1])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
