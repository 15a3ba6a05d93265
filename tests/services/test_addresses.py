"""Addresses and networks: IPv4, IPv6, and IPv4 written as IPv6."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from streamhub_orm.errors import AddressError
from streamhub_orm.services.addresses import lets_in, parse_address, parse_network


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7\n", "192.0.2.7"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:0207", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_address_is_read_in_each_of_its_spellings(text: str, expected: str) -> None:
    assert parse_address(text) == ip_address(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_network_is_read_in_each_of_its_spellings(text: str, expected: str) -> None:
    assert parse_network(text) == ip_network(expected)


NONE = ["", "nonsense", "10.0.0.0/33", "010.0.0.1", "1.2.3", "::ffff:1.2.3.4/129", 5, None, ["::1"]]


@pytest.mark.parametrize("text", NONE, ids=repr)
def test_what_is_no_address_is_refused_in_words(text: object) -> None:
    for parse in (parse_address, parse_network):
        with pytest.raises(AddressError, match="expected an IP address") as caught:
            parse(text)  # type: ignore[arg-type]
        assert caught.value.text == text


def test_text_that_is_no_address_is_let_in_by_no_network() -> None:
    everything = '["0.0.0.0/0", "::/0"]'
    assert lets_in(everything, "192.0.2.7")
    assert not lets_in(everything, "nonsense")
    assert not lets_in(everything, None)


@pytest.mark.parametrize("text", ["10.9.9.9", "::ffff:10.9.9.9", "2001:db8::5"])
def test_address_is_within_a_network_of_its_own_family(text: str) -> None:
    assert lets_in('["10.0.0.0/8", "2001:db8::/32"]', text)
    assert not lets_in('["192.0.2.0/24"]', text)


def test_ipv4_is_not_within_the_whole_of_ipv6() -> None:
    assert parse_address("::ffff:10.0.0.1") not in parse_network("::/0")
    assert not lets_in('["::/0"]', "::ffff:10.0.0.1")
