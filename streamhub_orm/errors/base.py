"""The root of the tree, and what belongs to no file, installation or run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class StreamHubError(Exception):
    """Base of all errors of this package; `str()` of it is fit for an operator's eyes."""

    exit_code: ClassVar[int] = 3


class StoredValueError(StreamHubError, ValueError):
    """A stored or bound value does not have the form that its column holds."""

    def __init__(self, kind: str, value: object) -> None:
        """Keep the `kind` of value that was expected and the `value` that was found."""
        super().__init__(f"expected {kind}, found {value!r}")
        self.kind = kind
        self.value = value


def first_of(items: Sequence[str], separator: str, limit: int) -> str:
    """Join the first items and say how many more there are."""
    more = [f"and {len(items) - limit} more"] if len(items) > limit else []
    return separator.join([*items[:limit], *more])
