"""Errors about who may do what: addresses, tokens, tenants, users, sign-in, quotas."""

from __future__ import annotations

from streamhub_orm.errors.base import StreamHubError


class AddressError(StreamHubError, ValueError):
    """The text is neither an IP address nor a network."""

    def __init__(self, text: object) -> None:
        """Keep the text."""
        super().__init__(
            f"found {text!r}; expected an IP address or a network, such as 192.0.2.7, 10.0.0.0/8 "
            "or 2001:db8::/32. Correct it."
        )
        self.text = text
