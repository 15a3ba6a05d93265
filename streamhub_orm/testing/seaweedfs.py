"""Starts and ends a real SeaweedFS, an object store that speaks S3."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.settings import S3Settings
from streamhub_orm.storage import open_s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY: Final = "tests-access-key"
SECRET_KEY: Final = "tests-secret-key"  # noqa: S105 - of a server that lives for one test run
__all__ = ["SeaweedFS", "find_weed", "start_seaweedfs"]

_PORTS: Final = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
_START_SECONDS: Final = 60.0
_TRIES: Final = 3


@dataclass(frozen=True)
class SeaweedFS:
    """A server that runs, on the loopback address only."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        """The URL that its clients are given."""
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self, name: str) -> S3Settings:
        """Create a bucket and return the settings of its store."""
        settings = S3Settings(
            bucket=name,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            endpoint=self.endpoint,
            force_path_style=True,
        )
        # To create a bucket is an operator's work, so the store's contract has no method for it.
        with open_s3_store(settings) as store:
            store._client.create_bucket(Bucket=name)  # noqa: SLF001 - as above
        return settings

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()


def find_weed() -> str | None:
    """Return the server's program: beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.is_file() else shutil.which("weed")


@contextmanager
def start_seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """Yield a server with its data and log in `folder`; end it, by its process id, after."""
    server = _start(folder)
    try:
        yield server
    finally:
        server.kill()


def _start(folder: Path) -> SeaweedFS:
    # Between our look for free ports and its start somebody else may take one.
    for attempt in range(_TRIES):
        server = _launch(folder / str(attempt))
        if _is_ready(server):
            return server
        server.kill()
    log = (folder / str(_TRIES - 1) / "log").read_text(encoding="utf-8", errors="replace")
    message = f"SeaweedFS did not start; the end of its log: {log[-2000:]}"
    raise RuntimeError(message)


def _launch(folder: Path) -> SeaweedFS:
    weed = find_weed()
    assert weed is not None  # noqa: S101 - the caller looked
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    folder.mkdir(parents=True)
    options = [
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-master.volumeSizeLimitMB=64",
        f"-filer.localSocket={folder / 'filer.sock'}",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program that was asked for
            [*_dies_with_us(), weed, "-logtostderr", "mini", *options],
            cwd=folder,
            env={**os.environ, **keys},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return SeaweedFS(process, ports["s3.port"])


def _dies_with_us() -> list[str]:
    """Return a prefix of the command that ends it even where this process is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for it in sockets:
            it.bind(("127.0.0.1", 0))
        return [it.getsockname()[1] for it in sockets]


def _is_ready(server: SeaweedFS) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=2):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False
