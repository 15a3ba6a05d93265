"""Ctrl-C during an upgrade: it waits for the file at hand."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Interrupts:
    """Holds the first Ctrl-C back until `stop_if_any`; a second one ends the run at once.

    A KeyboardInterrupt that comes while SQLAlchemy or a destructor runs may be printed and lost.
    Where this is not the main thread, or the program has a handler of its own, nothing is held.
    """

    def __init__(self, tell: Callable[[list[str]], None] = lambda _: None) -> None:
        """Hold nothing yet; the block does. `tell` is called at the first with what is at hand."""
        self.at_hand: list[str] = []
        self._tell = tell
        self.came = False
        """True from the first one on; the next KeyboardInterrupt is the second."""
        self._holds = False

    def __enter__(self) -> Self:
        """Hold interrupts back from here on."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._holds = True
        return self

    def __exit__(self, *_: object) -> None:
        """Let interrupts through again; one that came when all was done is forgotten."""
        if self._holds:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop_if_any(self) -> None:
        """Raise `KeyboardInterrupt` if one came; called between two files."""
        if self.came:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._tell(self.at_hand)
