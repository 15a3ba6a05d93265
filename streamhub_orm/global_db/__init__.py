"""The models of the global database: one per installation."""

from streamhub_orm.global_db.apps import ApiToken, App, TokenScope
from streamhub_orm.global_db.base import GlobalBase
from streamhub_orm.global_db.ingress import IngressAuth
from streamhub_orm.global_db.ip_access import IpAction, IpBan, IpRule
from streamhub_orm.global_db.logs import ServerLog
from streamhub_orm.global_db.meta import Meta
from streamhub_orm.global_db.nodes import Node, NodeStatus
from streamhub_orm.global_db.sign_in import MagicToken, UserSession
from streamhub_orm.global_db.tenancy import PLATFORM_TENANT, Membership, Quota, Role, Tenant
from streamhub_orm.global_db.users import User

__all__ = [
    "PLATFORM_TENANT",
    "ApiToken",
    "App",
    "GlobalBase",
    "IngressAuth",
    "IpAction",
    "IpBan",
    "IpRule",
    "MagicToken",
    "Membership",
    "Meta",
    "Node",
    "NodeStatus",
    "Quota",
    "Role",
    "ServerLog",
    "Tenant",
    "TokenScope",
    "User",
    "UserSession",
]
