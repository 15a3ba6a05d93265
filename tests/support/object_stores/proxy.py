"""A real TCP proxy before a store, which cuts, damages or swallows what passes."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 64 * 1024


@dataclass
class Faults:
    """What goes wrong, counted in bytes over all connections; None for nothing."""

    vanish_after_upload: int | None = None
    """After so many bytes from the client every connection ends, and new ones end at once."""
    cut_after_download: int | None = None
    """After so many bytes from the store the connection ends; the next one works again."""
    lose_answer_after_upload: int | None = None
    """Once so many bytes came from the client, the next answer ends the connection instead."""
    flip_in_upload: int | None = None
    """The byte at this place on its way to the store has another value."""
    flip_in_download: int | None = None
    """The byte at this place on its way to the client has another value."""
    swallow: bool = False
    """Connections are taken, and never answered."""


@dataclass
class Proxy:
    """Passes bytes on between clients and one store."""

    endpoint: str
    faults: Faults
    _target: tuple[str, int]
    _listener: socket.socket
    _passed: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    _sockets: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _vanished: bool = False

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(client)
            if self._vanished:
                close(client)
            elif not self.faults.swallow:
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            store = socket.create_connection(self._target)
        except OSError:
            close(client)
            return
        with self._lock:
            self._sockets.append(store)
        for source, target, way in ((client, store, "up"), (store, client, "down")):
            threading.Thread(target=self._pump, args=(source, target, way), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                target.sendall(self._pass(chunk, way))
        close(source)
        close(target)

    def _pass(self, chunk: bytes, way: str) -> bytes:
        """Return what goes on of a chunk; raises `OSError` where the connection ends."""
        with self._lock:
            before = self._passed[way]
            self._passed[way] += len(chunk)
        is_up = way == "up"
        cut = self.faults.vanish_after_upload if is_up else self.faults.cut_after_download
        if cut is not None and before + len(chunk) > cut:
            if is_up:
                self._vanished = True
                self.close_connections()
            else:
                self.faults.cut_after_download = None
            raise ConnectionResetError
        lose = self.faults.lose_answer_after_upload
        if not is_up and lose is not None and self._passed["up"] >= lose:
            self.faults.lose_answer_after_upload = None
            raise ConnectionResetError
        flip = self.faults.flip_in_upload if is_up else self.faults.flip_in_download
        if flip is not None and before <= flip < before + len(chunk):
            place = flip - before
            return chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :]
        return chunk

    def close_connections(self) -> None:
        with self._lock:
            for it in self._sockets:
                close(it)


def close(it: socket.socket) -> None:
    with suppress(OSError):
        it.shutdown(socket.SHUT_RDWR)
    it.close()


@contextmanager
def proxy_before(endpoint: str, faults: Faults) -> Iterator[Proxy]:
    """Yield a proxy on the loopback address; it ends with the block."""
    parts = urlsplit(endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = f"http://127.0.0.1:{listener.getsockname()[1]}"
        proxy = Proxy(own, faults, (parts.hostname, parts.port), listener)
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            close(listener)
            thread.join()
            proxy.close_connections()
