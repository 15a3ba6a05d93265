"""Errors about rows: those that do not exist, and those that exist already."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnknownRowError(StreamHubError):
    """Base of errors about a row that does not exist, or no longer exists."""

    kind: ClassVar[str]
    table: ClassVar[str]
    found = "no {kind} {key!r} in the table {table}"
    expected = "one with this key"
    todo = "List them and name one that is there."
    public_message = "There is no such {kind}."


class UnknownTenantError(UnknownRowError):
    """Raised when no tenant has this id."""

    key: str
    kind = "tenant"
    table = "tenants"


class UnknownUserError(UnknownRowError):
    """Raised when no user has this id."""

    key: str
    kind = "user"
    table = "users"


class UnknownMembershipError(UnknownRowError):
    """Raised when the user does not belong to the tenant."""

    tenant_id: str
    user_id: str
    kind = "member"
    table = "memberships"
    found = "no member {user_id!r} of tenant {tenant_id!r} in the table memberships"


class UnknownIpRuleError(UnknownRowError):
    """Raised when no rule about addresses has this id."""

    key: int
    kind = "rule about addresses"
    table = "ip_rules"


class UnknownTokenError(UnknownRowError):
    """Raised when no API token has this id."""

    key: int
    kind = "API token"
    table = "api_tokens"


class UnknownNodeError(UnknownRowError):
    """Raised when no node of the cluster has this id."""

    node_id: str
    known: Sequence[str]
    kind = "node"
    table = "nodes"
    found = "no node {node_id!r} in the table nodes (known: {known})"
    todo = "Join it first, by its name."


class UnknownVodError(UnknownRowError):
    """Raised when no recording of the app has this id."""

    key: int
    kind = "recording"
    table = "vods"


class UnknownVariantError(UnknownRowError):
    """Raised when no file of a recording has this id."""

    key: int
    kind = "variant"
    table = "vod_variants"


class UnknownPluginError(UnknownRowError):
    """Raised when the plugin is not installed in this app."""

    key: str
    kind = "plugin"
    table = "app_plugins"


class UnknownIngressError(UnknownRowError):
    """Raised when no ingress of the app has this id."""

    key: str
    kind = "ingress"
    table = "ingress_auth"


class UnknownTargetError(UnknownRowError):
    """Raised when no restream target of the app has this id."""

    key: int
    kind = "restream target"
    table = "restream_targets"


class TenantExistsError(StreamHubError):
    """Raised when the id of a new tenant is taken."""

    tenant_id: str
    found = "a tenant {tenant_id!r}"
    expected = "none"
    todo = "Choose another id."
    public_message = "This id of a tenant is taken. Choose another."


class EmailTakenError(StreamHubError):
    """Raised when another user has this e-mail address, whatever its upper and lower case."""

    email: str
    user_id: str
    found = "the e-mail address {email!r} with the user {user_id!r}"
    expected = "nobody to have it"
    todo = "Name another address, or change that user's first."
    public_message = "This e-mail address is taken. Choose another."


class MemberExistsError(StreamHubError):
    """Raised when whoever is invited belongs to the tenant already."""

    tenant_id: str
    user_id: str
    subject = "tenant {tenant_id!r}"
    found = "user {user_id!r} as a member"
    expected = "somebody who is not"
    todo = "Change the member's role instead."
    public_message = "Whoever has this address is a member already."


class InviteAcceptedError(StreamHubError):
    """Raised when an invitation is to be revoked that was accepted."""

    tenant_id: str
    user_id: str
    subject = "tenant {tenant_id!r}"
    found = "user {user_id!r} as a member who is not pending"
    expected = "a pending one"
    todo = "End the membership instead."
    public_message = "The invitation has been accepted."


class IpRuleExistsError(StreamHubError):
    """Raised when there is a rule about addresses with the same text and action."""

    cidr: str
    action: str
    rule_id: int
    found = "the rule {rule_id}, {action} {cidr}"
    expected = "none with this text and action"
    todo = "Leave it, or delete it first."
    public_message = "There is such a rule already."


class PluginInstalledError(StreamHubError):
    """Raised when the plugin is installed in this app already."""

    plugin_id: str
    found = "plugin {plugin_id!r} installed in this app already"
    expected = "one that is not"
    todo = "Configure the one that is there, or remove it first."
    public_message = "This plugin is installed already."


class NodeNameTakenError(StreamHubError):
    """Raised when a node is renamed to the name of another, which would join as that one."""

    name: str
    node_id: str
    found = "the name {name!r} with the node {node_id!r}"
    expected = "no other node to have it"
    todo = "Choose another name, or rename or delete that node first."
    public_message = "Another node has this name. Choose another."


class TargetExistsError(StreamHubError):
    """Raised when a room is sent to the URL of a new restream target already."""

    target_id: int
    found = "restream target {target_id} of this room, starting or active, with this URL"
    expected = "none"
    todo = "Stop that one first."
    public_message = "The room is sent to this URL already."
