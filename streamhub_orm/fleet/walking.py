"""Walk over a fleet: each app by itself, so that a bad one never stops the others and is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from streamhub_orm.errors import StreamHubError, UnforeseenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """Outcome of the work on one app: a value or an error."""

    app: str
    value: T | None = None
    error: StreamHubError | None = None


def walk(
    names: Iterable[str],
    work: Callable[[str], T],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Outcome[T]]:
    """Yield the outcome of `work` for each app, in order; an error of one does not end the walk.

    `progress` is told how many are done, and of how many.
    """
    all_names = list(names)
    for done, name in enumerate(all_names, start=1):
        yield attempt(name, work)
        progress(done, len(all_names))


def attempt(name: str, work: Callable[[str], T]) -> Outcome[T]:
    """Return the outcome of `work` for one app; what nobody foresaw is an `UnforeseenError`."""
    try:
        return Outcome(name, work(name))
    except StreamHubError as error:
        return Outcome(name, error=error)
    except Exception as error:  # noqa: BLE001 - what one app holds must not stop the others
        unforeseen = UnforeseenError(f"{type(error).__name__}: {error}")
        unforeseen.__cause__ = error
        return Outcome(name, error=unforeseen)
