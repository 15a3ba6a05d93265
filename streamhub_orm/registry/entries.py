"""What a look at the registry finds, wherever it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamhub_orm.errors import UnknownAppError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Registry:
    """All apps, as one look at the global database found them."""

    source: Path | str
    """The global database: a file, or a server without its password."""
    ids: dict[str, int]
    """`apps.id` by name, in the order of the ids; names may lie outside the allow-list."""
    split_done: bool
    recorded: frozenset[int] = frozenset()
    """Ids of the apps that are known to have had an app.db."""

    def is_recorded(self, name: str) -> bool:
        """Tell whether an app is known to have had an app.db."""
        return self.ids[name] in self.recorded

    def require(self, names: Iterable[str]) -> None:
        """Raise `UnknownAppError` for the first name that is not registered."""
        for name in names:
            if name not in self.ids:
                raise UnknownAppError(name, self.source, list(self.ids))
