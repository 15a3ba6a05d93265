"""A `logging.Handler` that writes `server_logs`, and the rotating file beside it."""

from __future__ import annotations

import logging
import logging.handlers
import os
import time
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self, cast

from streamhub_orm.durable_files import make_folder
from streamhub_orm.errors import LogSettingError
from streamhub_orm.services.log_lines import LogTable, line_from_record
from streamhub_orm.services.log_queue import LogQueue, QueueLimits

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.services.log_server import ServerLogTable

__all__ = ["InstallationLog", "QueueLimits", "ServerLogHandler", "open_log"]

_FILE_MODE: Final = 0o640
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class ServerLogHandler(logging.Handler):
    """Writes records into `server_logs` from a thread of its own.

    It never raises into the application and never waits for the database: beyond
    `limits.capacity` lines are dropped, and a line in `server_logs` tells how many. `flush()` and
    `close()` write what is queued; logging calls both when the interpreter ends, so an orderly
    end loses nothing. A child after fork writes its own lines, and leaves the parent's to it; one
    that ends by `os._exit` calls `flush()` before.
    """

    def __init__(
        self,
        place: DataDir,
        *,
        source: str | None = None,
        level: int | str = logging.NOTSET,
        limits: QueueLimits | None = None,
    ) -> None:
        """Take lines for the installation at `place`; nothing is opened until the first one.

        `source` is what they come from; by default the name of each record's logger. Raises
        `LogSettingError` for a limit below 1.
        """
        super().__init__(level)
        self.source = source
        self.limits = limits or QueueLimits()
        for name in ("capacity", "batch_rows"):
            if getattr(self.limits, name) < 1:
                raise LogSettingError(name, getattr(self.limits, name), "a number of lines from 1")
        self._queue = LogQueue(_table_of(place), self.limits)
        # One that is forgotten instead of closed; at the interpreter's end logging closes the rest.
        weakref.finalize(self, self._queue.end).atexit = False

    @property
    def written(self) -> int:
        """Number of lines that this process has written."""
        return self._queue.written

    @property
    def dropped(self) -> int:
        """Number of lines that this process has lost."""
        return self._queue.dropped

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue a record that passes the filters; return whether it did.

        Without the handler's lock, which the queue does not need: a thread that the collector lets
        log while it holds the queue's lock would wait for one that holds the handler's.
        """
        passed: object = self.filter(record)  # since Python 3.12 it may be another record
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        try:
            self._queue.put(line_from_record(record, self.source))
        except Exception:  # noqa: BLE001 - a line of the log must not stop what it tells about
            self._queue.count_dropped()

    def flush(self) -> None:
        """Wait until what is queued is written, at most `limits.close_seconds`.

        Inside a session on the global database in a file it waits in vain: that holds the write
        lock.
        """
        self._queue.flush(self.limits.close_seconds)

    def close(self) -> None:
        """Write what is queued and end the thread, in at most `limits.close_seconds`.

        Lines that come later are dropped. What could not be written is told on standard error.
        """
        self._queue.close()
        super().close()


class InstallationLog:
    """The two handlers of an installation's log, on one logger until it is closed."""

    def __init__(
        self,
        logger: logging.Logger,
        database: ServerLogHandler,
        file: logging.handlers.RotatingFileHandler,
    ) -> None:
        """Add both handlers to the logger."""
        self.logger = logger
        self.database = database
        self.file = file
        for handler in (database, file):
            logger.addHandler(handler)

    def __enter__(self) -> Self:
        """Return itself; `close()` follows at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take both handlers off and close them."""
        self.close()

    def close(self) -> None:
        """Take both handlers off the logger, write what they hold, and close them."""
        with ExitStack() as stack:
            for handler in (self.database, self.file):
                self.logger.removeHandler(handler)
                stack.callback(handler.close)


def open_log(  # noqa: PLR0913 - each is one choice of the caller
    place: DataDir,
    *,
    source: str | None = None,
    level: int | str = logging.INFO,
    logger: logging.Logger | None = None,
    file_name: str = "streamhub-orm.log",
    max_file_bytes: int = 10 * 1024 * 1024,
    kept_files: int = 5,
    limits: QueueLimits | None = None,
) -> InstallationLog:
    """Send a logger's records (the root's by default) to `server_logs` and to DATA_DIR/logs.

    The file has mode 0640 and is renamed to `.1` at `max_file_bytes`; so many as `kept_files` are
    kept. Each process that logs needs a `file_name` of its own, since two cannot rotate one file.
    The caller closes the result, or leaves it to the end of the interpreter. Raises
    `LogSettingError` for a file name with a folder in it, `OSError` where the file cannot be made.
    """
    if os.path.basename(file_name) != file_name or file_name in {"", ".", ".."}:  # noqa: PTH119 - no Path: it drops what it does not like
        setting = "file_name"
        raise LogSettingError(setting, file_name, "the name of a file, without a folder")
    folder = place.root / "logs"
    make_folder(folder)
    file = _LogFile(folder / file_name, max_file_bytes, kept_files)
    database = ServerLogHandler(place, source=source, level=level, limits=limits)
    file.setLevel(level)
    return InstallationLog(logger or logging.getLogger(), database, file)


def _table_of(place: DataDir) -> LogTable | ServerLogTable:
    if place.global_url is None:
        return LogTable(place.global_db)
    from streamhub_orm.services.log_server import ServerLogTable  # noqa: PLC0415 - an extra

    return ServerLogTable(place.global_url)


class _LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file that its owner and group alone can read; never a link to another place."""

    def __init__(self, path: Path, max_bytes: int, kept: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=kept, encoding="utf-8")
        formatter = logging.Formatter(_FORMAT)
        formatter.converter = time.gmtime
        formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
        formatter.default_msec_format = "%s.%03dZ"
        self.setFormatter(formatter)

    def _open(self) -> TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, _FILE_MODE)

        file = open(self.baseFilename, self.mode, encoding=self.encoding, opener=opener)  # noqa: SIM115 - the handler closes it
        return cast("TextIOWrapper", file)
