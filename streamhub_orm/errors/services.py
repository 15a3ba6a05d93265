"""Errors of the services: refused values, moves that are not allowed, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Collection


class LastOwnerError(StreamHubError):
    """Raised when a tenant would be left without an owner, so with nobody to look after it."""

    tenant_id: str
    user_id: str
    subject = "tenant {tenant_id!r}"
    found = "user {user_id!r} as its last owner"
    expected = "another owner to be left"
    todo = "Make another member the owner first."
    public_message = "This is the last owner. Make another member the owner first."


# Values that are refused. What may be a secret is described and not kept.


class AddressError(StreamHubError, ValueError):
    """Raised for a text that is neither an IP address nor a network."""

    text: object
    found = "{text!r}"
    expected = "an IP address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
    todo = "Correct it."
    public_message = "Expected {expected}."


class EmailError(StreamHubError, ValueError):
    """Raised for a text that is no e-mail address."""

    text: str
    found = "{text!r}"
    expected = (
        "an e-mail address: one @, something on either side of it, no white space, at most 254 "
        "characters"
    )
    todo = "Correct it."
    public_message = "Expected {expected}."


class TokenFormError(StreamHubError, ValueError):
    """Raised when the text given as an API token does not have its form."""

    found: str
    subject = "standard input"
    expected = "one API token: sk_ and then 32 to 253 characters of A-Z, a-z, 0-9, - and _"
    todo = "Make one with `streamhub-db tokens issue`."


class PasswordHashError(StreamHubError, ValueError):
    """Raised when the text given to be stored is no password hash."""

    found = "another text than a password's hash"
    expected = "scrypt$<N>$<r>$<p>$<salt>$<hash>"
    todo = "Make it with passwords.hash_."


class PasswordLengthError(StreamHubError, ValueError):
    """Raised for a password that is too short or too long to be set."""

    length: int
    found = "a password of {length} characters"
    expected = "8 to 200"
    todo = "Choose another one."
    public_message = "A password has {expected} characters."


class TotpStateError(StreamHubError):
    """Raised when a second factor is not in the state that a change of it begins with."""

    user_id: str
    found: str
    expected: str
    todo: str
    subject = "user {user_id!r}"
    public_message = "The second factor is not in the state for that."


class TotpCodeError(StreamHubError, ValueError):
    """Raised when a second factor is to be changed by a code that is not valid now."""

    user_id: str
    subject = "user {user_id!r}"
    found = "a code that is not valid now"
    expected = "the six digits that the authenticator app shows"
    todo = "Enter the present code; the clock of the device may be wrong."
    public_message = "The code is not valid now."


class TotpSecretError(StreamHubError):
    """Raised when the stored secret of a second factor cannot be read."""

    user_id: str
    found: str
    subject = "user {user_id!r}"
    expected = "aesgcm$<iv>$<tag>$<cipher>, encrypted under STREAMHUB_JWT_SECRET"
    todo = (
        "Set STREAMHUB_JWT_SECRET to what it was when the second factor was set up, or take the "
        "second factor away with totp.reset."
    )


class NodeNameError(StreamHubError, ValueError):
    """Raised when a node is given a name that the Node core would not take."""

    name: object
    found = "the node name {name!r}"
    expected = "1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'"
    todo = "Give the node such a name."
    public_message = "Expected the name of a node: {expected}."


class NodeStatsError(StreamHubError, ValueError):
    """Raised when a node's statistics are larger than a heartbeat may store."""

    node_id: str
    size_bytes: int
    limit_bytes: int
    subject = "node {node_id!r}"
    found = "statistics of {size_bytes} bytes as JSON"
    expected = "at most {limit_bytes}"
    todo = "Send fewer or shorter values; nothing was written."
    public_message = "The statistics have {size_bytes} bytes; at most {limit_bytes} are taken."


class VodFieldError(StreamHubError):
    """Raised when a change names a column of a recording that no caller may set."""

    names: Collection[str]
    allowed: Collection[str]
    subject = "a recording"
    found = "that {names} cannot be set this way"
    expected = "some of {allowed}"
    todo = "Leave them out; a status is changed by a function of its own."
    public_message = "Of a recording only these can be set: {allowed}."


class VodStateError(StreamHubError):
    """Raised when a recording cannot go from its status to the one that was asked for.

    `sources` are those from which it could.
    """

    vod_id: int
    status: str
    wanted: str
    sources: Collection[str]
    subject = "recording {vod_id}"
    found = "{status}"
    expected = "a status that leads to {wanted} ({sources})"
    todo = "Another worker may have moved it: look at its status again."
    public_message = "The recording is {status} and cannot become {wanted}."


class TargetStateError(StreamHubError):
    """Raised when a restream target cannot go from its status to the one that was asked for."""

    target_id: int
    found: str
    expected: str
    subject = "restream target {target_id}"
    todo = "Look at its status again; one that is stopped stays so: make a new one."
    public_message = "The restream target has a status from which it cannot be changed so."


# Limits.


class TooManyLinksError(StreamHubError):
    """Raised when too many links were asked for of late, for an e-mail address or by an IP address.

    `key` is what the window counts by: email or ip.
    """

    key: str
    limit: int
    retry_after_seconds: float
    found = "{limit} links already asked for by this {key}"
    expected = "fewer within the window"
    todo = "Ask again in {retry_after_seconds:.0f} s."
    public_message = "Too many links were asked for. {todo}"


class TooManyTargetsError(StreamHubError):
    """Raised when a room is sent to as many restream targets as it may be."""

    used: int
    limit: int
    found = "{used} restream targets of this room that are starting or active"
    expected = "fewer than {limit}"
    todo = "Stop one of them first."
    public_message = "The room has as many restream targets as it may have: {limit}."


class QuotaExceededError(StreamHubError):
    """Raised when a tenant has used up what its plan allows, in the unit of the metric."""

    tenant_id: str
    metric: str
    limit: float
    used: float
    subject = "tenant {tenant_id!r}"
    found = "{used:g} in use"
    expected = "room for more under its {metric} of {limit:g}"
    todo = "Free some of it, or raise the limit."
    public_message = "The limit {metric} of {limit:g} is used up."


class UsageUnknownError(StreamHubError):
    """Raised when a tenant's use cannot be counted, so that nothing more is let in."""

    tenant_id: str
    metric: str
    reason: str
    subject = "tenant {tenant_id!r}"
    found = "no count to hold against its {metric}, since {reason}"
    expected = "to know what is in use"
    todo = "See to the reason, or set the limit to -1, unlimited."
