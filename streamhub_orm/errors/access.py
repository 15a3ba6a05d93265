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


class UnknownIpRuleError(UnknownRowError):
    """No rule about addresses has this id."""

    def __init__(self, rule_id: int) -> None:
        """Keep the id."""
        super().__init__("rule about addresses", rule_id, "ip_rules")


class TokenFormError(StreamHubError, ValueError):
    """The text given as an API token is none; it is not kept here, since it may be a secret."""

    def __init__(self, found: str) -> None:
        """Keep a description of what was `found`, without the text itself."""
        super().__init__(
            f"standard input: found {found}; expected one API token: sk_ and then 32 to 253 "
            "characters of A-Z, a-z, 0-9, - and _. Make one with `streamhub-db tokens issue`."
        )
        self.found = found


class UnknownTenantError(UnknownRowError):
    """No tenant has this id."""

    def __init__(self, tenant_id: str) -> None:
        """Keep the id."""
        super().__init__("tenant", tenant_id, "tenants")


class UnknownUserError(UnknownRowError):
    """No user has this id."""

    def __init__(self, user_id: str) -> None:
        """Keep the id."""
        super().__init__("user", user_id, "users")


class UnknownMembershipError(UnknownRowError):
    """The user does not belong to the tenant."""

    def __init__(self, tenant_id: str, user_id: str) -> None:
        """Keep both ids."""
        super().__init__(f"member of tenant {tenant_id!r},", user_id, "memberships")
        self.tenant_id = tenant_id
        self.user_id = user_id


class TenantExistsError(StreamHubError):
    """The id of a new tenant is taken."""

    def __init__(self, tenant_id: str) -> None:
        """Keep the id."""
        super().__init__(f"found a tenant {tenant_id!r}; expected none. Choose another id.")
        self.tenant_id = tenant_id


class LastOwnerError(StreamHubError):
    """A tenant would be left without an owner, so without anybody to look after it."""

    def __init__(self, tenant_id: str, user_id: str) -> None:
        """Keep the tenant and its last owner."""
        super().__init__(
            f"user {user_id!r} is the last owner of the tenant {tenant_id!r}; expected another "
            "owner to be left. Make another member the owner first."
        )
        self.tenant_id = tenant_id
        self.user_id = user_id


class EmailError(StreamHubError, ValueError):
    """The text is no e-mail address."""

    def __init__(self, text: str) -> None:
        """Keep the text."""
        super().__init__(
            f"found {text!r}; expected an e-mail address: one @, something on either side of it, "
            "no white space, at most 254 characters. Correct it."
        )
        self.text = text


class EmailTakenError(StreamHubError):
    """Another user has this e-mail address, be it in other upper and lower case."""

    def __init__(self, email: str, user_id: str) -> None:
        """Keep the address and who has it."""
        super().__init__(
            f"found the e-mail address {email!r} with the user {user_id!r}; expected nobody to "
            "have it. Name another address, or change that user's first."
        )
        self.email = email
        self.user_id = user_id


class PasswordHashError(StreamHubError, ValueError):
    """The text given to be stored is no hash; it is not kept here, since it may be a password."""

    def __init__(self) -> None:
        """Say so, without the text."""
        super().__init__(
            "found another text than a password's hash; expected scrypt$<N>$<r>$<p>$<salt>$<hash>. "
            "Make it with passwords.hash_."
        )


class TooManyLinksError(StreamHubError):
    """Enough links were sent to this e-mail address, or asked for from this IP address, lately."""

    def __init__(self, key: str, limit: int, retry_after_seconds: float) -> None:
        """Keep what the window counts by (email or ip), its limit, and when to come again."""
        super().__init__(
            f"found {limit} links already asked for by this {key}; expected fewer within the "
            f"window. Ask again in {retry_after_seconds:.0f} s."
        )
        self.key = key
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


class QuotaExceededError(StreamHubError):
    """The tenant has used up what its plan allows."""

    def __init__(self, tenant_id: str, metric: str, limit: float, used: float) -> None:
        """Keep the tenant, the metric, its limit and what is used, in the metric's unit."""
        super().__init__(
            f"tenant {tenant_id!r}: found {used:g} in use; expected room for more under its "
            f"{metric} of {limit:g}. Free some of it, or raise the limit."
        )
        self.tenant_id = tenant_id
        self.metric = metric
        self.limit = limit
        self.used = used


class UsageUnknownError(StreamHubError):
    """What a tenant uses cannot be counted, so nothing more is let in."""

    def __init__(self, tenant_id: str, metric: str, reason: str) -> None:
        """Keep the tenant, the metric and the reason."""
        super().__init__(
            f"tenant {tenant_id!r}: found no count to hold against its {metric}, since {reason}; "
            "expected to know what is in use. See to the reason, or set the limit to -1, unlimited."
        )
        self.tenant_id = tenant_id
        self.metric = metric
        self.reason = reason
