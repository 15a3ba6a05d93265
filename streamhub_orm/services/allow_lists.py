"""Allow-lists as they are stored: a JSON list of addresses and networks."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import AddressError
from streamhub_orm.services.addresses import Network, find_address, is_within, parse_network

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSED: Final[tuple[Network, ...]] = ()


def lets_in(stored: str | None, address: str | None) -> bool:
    """Tell whether an allow-list lets an address in.

    NULL and an empty list let everybody in. What is no list lets nobody in, and neither does an
    entry that is no address or network. An address of None is let in by no entry.
    """
    networks = None if stored is None else _networks(stored)
    return networks is None or is_within(find_address(address), networks)


def entries_of(stored: str | None) -> tuple[str, ...] | None:
    """Return the entries of a stored allow-list as they are, or None where it is no list.

    NULL is an empty list.
    """
    try:
        entries = None if stored is None else json.loads(stored)
    except (TypeError, ValueError, RecursionError):
        return None
    if entries is None:
        return ()
    return tuple(entries) if isinstance(entries, list) else None


@lru_cache(maxsize=1024)
def _networks(stored: str) -> tuple[Network, ...] | None:
    """Return the networks of a stored allow-list, or None where it is empty."""
    entries = entries_of(stored)
    if entries is None:
        return _CLOSED
    return tuple(_known_networks(entries)) if entries else None


def _known_networks(entries: tuple[str, ...]) -> Iterator[Network]:
    for entry in entries:
        with suppress(AddressError):
            yield parse_network(entry)
