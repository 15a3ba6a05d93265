"""Models of the global database: one per installation."""

from streamhub_orm.global_db.accounts import (
    PLATFORM_TENANT,
    MagicToken,
    Membership,
    Quota,
    Role,
    Tenant,
    User,
    UserSession,
)
from streamhub_orm.global_db.apps import ApiToken, App, IngressAuth, TokenScope
from streamhub_orm.global_db.base import GlobalBase, Meta
from streamhub_orm.global_db.server import (
    IpAction,
    IpBan,
    IpRule,
    Node,
    NodeStatus,
    ServerLog,
)

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
    "metadata",
]

metadata = GlobalBase.metadata
"""All tables of this world, as Alembic and tools beside it look for them."""
