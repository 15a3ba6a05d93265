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


class UnknownRowError(StreamHubError):
    """No row with this key: what was named does not exist, or not any more."""

    def __init__(self, kind: str, key: object, table: str) -> None:
        """Keep the kind of thing, the key that was asked for, and the global table."""
        super().__init__(
            f"found no {kind} {key!r} in the table {table}; expected one with this key. "
            "List them and name one that is there."
        )
        self.kind = kind
        self.key = key
        self.table = table


class UnknownTokenError(UnknownRowError):
    """No API token has this id."""

    def __init__(self, token_id: int) -> None:
        """Keep the id."""
        super().__init__("API token", token_id, "api_tokens")


class TokenFormError(StreamHubError, ValueError):
    """The text given as an API token is none; it is not kept here, since it may be a secret."""

    def __init__(self, found: str) -> None:
        """Keep a description of what was `found`, without the text itself."""
        super().__init__(
            f"standard input: found {found}; expected one API token: sk_ and then 32 to 253 "
            "characters of A-Z, a-z, 0-9, - and _. Make one with `streamhub-db tokens issue`."
        )
        self.found = found
