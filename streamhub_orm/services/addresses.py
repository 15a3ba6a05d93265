"""IP addresses and networks, and the allow-lists that are stored of them.

An IPv4 client of a socket that speaks both comes as `::ffff:192.0.2.7`. Here that is 192.0.2.7, in
addresses and networks alike, so it is let in, or kept out, by the rule that names it either way.
An allow-list is a JSON list of addresses and networks.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Final, TypeAlias

from streamhub_orm.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Address", "Network", "entries_of", "lets_in", "parse_address", "parse_network"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_CLOSED: Final[tuple[Network, ...]] = ()


def parse_address(text: str) -> Address:
    """Return the address; a zone such as `%eth0` is left off.

    Raises `AddressError`.
    """
    try:
        address = ip_address(_text(text).partition("%")[0])
    except ValueError as error:
        raise AddressError(text) from error
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """Return the network of `10.0.0.0/8` or of a single address; host bits may be set.

    Raises `AddressError`.
    """
    try:
        network = ip_network(_text(text), strict=False)
    except ValueError as error:
        raise AddressError(text) from error
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        start = int(network.network_address) - int(_MAPPED.network_address)
        return IPv4Network((start, network.prefixlen - _MAPPED.prefixlen))
    return network


def lets_in(stored: str | None, address: str | None) -> bool:
    """Tell whether a stored allow-list lets an address in.

    NULL and an empty list let everybody in. Text that is no list lets nobody in, and neither does
    an entry that is no address or network. No entry lets in None, or a text that is no address.
    """
    networks = None if stored is None else _networks(stored)
    if networks is None:
        return True
    try:
        found = None if address is None else parse_address(address)
    except AddressError:
        return False
    return found is not None and any(found in network for network in networks)


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


def _text(given: object) -> str:
    """Refuse a number, which `ipaddress` would take for an address."""
    if not isinstance(given, str):
        raise AddressError(given)
    return given.strip()
