"""IP addresses and networks as they stand in allow-lists and rules.

An IPv4 client of a socket that speaks both comes as `::ffff:192.0.2.7`. Here that is 192.0.2.7, in
addresses and networks alike, so it is let in, or kept out, by the rule that names it either way.
"""

from __future__ import annotations

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
    from collections.abc import Iterable

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


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


def find_address(text: str | None) -> Address | None:
    """Return the address, or None for what is none; no rule matches None."""
    try:
        return None if text is None else parse_address(text)
    except AddressError:
        return None


def is_within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Tell whether the address is in any of the networks."""
    return address is not None and any(address in network for network in networks)


def _text(given: object) -> str:
    """Refuse a number, which `ipaddress` would take for an address."""
    if not isinstance(given, str):
        raise AddressError(given)
    return given.strip()
