"""Work that is done again where an error says that it may be, such as beside a busy writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from streamhub_orm.errors import StreamHubError, TransactionConflictError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["after_conflicts", "attempts"]

_MOST_CONFLICTS: Final = 12


def attempts(
    most: int = 3,
    *,
    longest_pause_seconds: float = 1.0,
    before_pause: Callable[[Any], None] | None = None,
) -> Retrying:
    """Return a bounded number of attempts at one block or function.

    For a block: `for attempt in attempts():`, and in it `with attempt, databases.app_session(…)`.
    For a function: `attempts()(function, databases, …)`. What ended in an error whose
    `may_be_repeated` is True did nothing, and is done again. Any other error, and that of the last
    attempt, is raised as it is. Put one whole session into the block, and no other work that
    stays: that would be done twice.

    Between two attempts it sleeps for a random time, below 0.1 s at first and at most
    `longest_pause_seconds`; before that it calls `before_pause` with tenacity's state, say to log
    it. Each attempt by itself waits up to 5 s for a lock. Raises ValueError for `most` below 1.
    """
    if most < 1:
        message = f"found {most} attempts; expected 1 or more"
        raise ValueError(message)
    return Retrying(
        retry=retry_if_exception(_may_be_repeated),
        stop=stop_after_attempt(most),
        wait=wait_random_exponential(multiplier=0.1, max=longest_pause_seconds),
        before_sleep=before_pause,
        reraise=True,
    )


def after_conflicts() -> Retrying:
    """Return up to 12 attempts at a session on a control plane, as `attempts` does.

    They end with any error but `TransactionConflictError`, of which a database in a file has none.
    """
    return Retrying(
        retry=retry_if_exception_type(TransactionConflictError),
        stop=stop_after_attempt(_MOST_CONFLICTS),
        wait=wait_random_exponential(multiplier=0.01, max=0.5),
        reraise=True,
    )


def _may_be_repeated(error: BaseException) -> bool:
    return isinstance(error, StreamHubError) and error.may_be_repeated
