"""Work that is done again where an error says that it may be, such as beside a busy writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from streamhub_orm.errors import StreamHubError, TransactionConflictError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tenacity import Retrying

__all__ = ["attempts", "past_conflicts"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

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
    return _retrying(_may_be_repeated, most, 0.1, longest_pause_seconds, before_pause)


def past_conflicts(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what a function returns, called up to 12 times.

    Again only after `TransactionConflictError`, of which a database in a file has none: at once,
    then after pauses as of `attempts`, below 0.5 s each.
    """
    try:
        return function(*args, **kwargs)
    except TransactionConflictError:
        pass  # seldom, so the first call costs nothing
    again = _retrying(_is_conflict, _MOST_CONFLICTS - 1, 0.01, 0.5)
    return again(function, *args, **kwargs)


def _retrying(
    is_tried_again: Callable[[BaseException], bool],
    most: int,
    pause_seconds: float,
    longest_pause_seconds: float,
    before_pause: Callable[[Any], None] | None = None,
) -> Retrying:
    import tenacity  # noqa: PLC0415 - slow to import, and most programs never need it

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_tried_again),
        stop=tenacity.stop_after_attempt(most),
        wait=tenacity.wait_random_exponential(multiplier=pause_seconds, max=longest_pause_seconds),
        before_sleep=before_pause,
        reraise=True,
    )


def _is_conflict(error: BaseException) -> bool:
    return isinstance(error, TransactionConflictError)


def _may_be_repeated(error: BaseException) -> bool:
    return isinstance(error, StreamHubError) and error.may_be_repeated
