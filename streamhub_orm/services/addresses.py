"""IP addresses and networks, and the allow-lists that are stored of them.

An IPv4 client of a socket that speaks both comes as `::ffff:192.0.2.7`. Here that is 192.0.2.7, in
addresses and networks alike, so it is let in, or kept out, by the rule that names it either way.
An allow-list is a JSON list of addresses and networks. Where the Node core compares text, there is
a function for the text that it finds.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import lru_cache
from ipaddress import (
    IPV4LENGTH,
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

__all__ = [
    "Address",
    "Network",
    "entries_of",
    "is_private",
    "lets_in",
    "parse_address",
    "parse_network",
    "stored_entry",
    "typed_network",
]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED_BITS: Final = 96
_BITS: Final = re.compile("[0-9]{1,3}")
_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
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
    address, bits, _ = _parts(text)
    return ip_network((address, bits), strict=False)


def is_private(address: Address) -> bool:
    """Tell whether an address is of this machine or a local network: no rule ever keeps it out.

    These are loopback, link-local and private addresses (RFC 1918, and fc00::/7).
    """
    return any(address in network for network in _PRIVATE)


def typed_network(text: str) -> str:
    """Return `<address as typed>/<bits>`, which the Node core stores of a rule; host bits stay.

    Raises `AddressError`.
    """
    address, bits, typed = _parts(text)
    return f"{typed or address}/{bits}"


def stored_entry(text: str) -> tuple[str, bool]:
    """Return an allow-list's entry as it is to be stored, and whether the Node core matches it.

    The core compares an address by its text, which is its shortest here, and matches networks of
    IPv4 alone. Raises `AddressError`.
    """
    address, bits, _ = _parts(text)
    if bits == address.max_prefixlen:
        return str(address), True
    return typed_network(text), isinstance(address, IPv4Address)


def _parts(text: str) -> tuple[Address, int, str | None]:
    """Return the address, the bits and the address as typed, None for IPv4 written as IPv6."""
    typed, slash, after = _text(text).partition("/")
    typed = typed.partition("%")[0]
    try:
        address = parse_address(typed)
    except AddressError:
        raise AddressError(text) from None
    most = address.max_prefixlen
    bits = most if not slash else int(after) if _BITS.fullmatch(after) else most + 1
    is_mapped = ":" in typed and most == IPV4LENGTH
    if is_mapped and slash and bits >= _MAPPED_BITS:
        bits -= _MAPPED_BITS
    if bits > most:
        raise AddressError(text)
    return address, bits, None if is_mapped else typed


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
