"""Standard streams of the command: where they cannot be written, the work still goes to its end."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS: Final = {"stdout": 1, "stderr": 2}
_FIRST_OTHER: Final = 3
"""Number of the first descriptor that is no standard stream."""
_READER_GONE: Final = (errno.EPIPE, errno.EBADF)


class _Descriptor(io.FileIO):
    """A descriptor that keeps the fault of its first failed write, and drops what follows."""

    fault: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or drop what cannot be written."""
        if self.fault is None:
            try:
                return super().write(data)
            except OSError as error:
                self.fault = error
        return memoryview(data).nbytes


def take_streams() -> None:
    """Put streams that never fail in the place of stdout and stderr, unless somebody else has.

    Closed ones go nowhere from now on. Else the next file that is opened, a database perhaps, would
    get the number of the closed one, and with it the output.
    """
    while (lowest := os.open(os.devnull, os.O_RDWR)) < _FIRST_OTHER:
        pass
    os.close(lowest)
    for name, descriptor in _STREAMS.items():
        stream: io.TextIOWrapper | None = getattr(sys, f"__{name}__")
        if getattr(sys, name) is stream:
            setattr(sys, name, _tolerant(descriptor, stream))


def _tolerant(descriptor: int, stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    raw = _Descriptor(descriptor, "wb", closefd=False)
    if stream is None:
        raw.fault = OSError(errno.EBADF, os.strerror(errno.EBADF))
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty(),
    )


def require_written() -> None:
    """Raise `OutputError` where what was printed on stdout did not go out."""
    fault = _fault()
    if fault is not None:
        raise OutputError(str(fault.strerror))


def lost_output() -> str | None:
    """Return why the output was lost; None where it was not, or where nobody reads it any more."""
    fault = _fault()
    return None if fault is None or fault.errno in _READER_GONE else fault.strerror


def _fault() -> OSError | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Descriptor):
        return None
    sys.stdout.flush()
    return raw.fault
