"""Create ip_bans and ip_rules. This is the parity revision.

ip_bans is written by the server when an address misbehaves, ip_rules by an operator. The Node core
creates both at run time. A file at this revision has what the core's own files have and no more.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0013"
down_revision = "g0012"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Create both tables and their indices."""
    op.create_table(
        "ip_bans",
        sa.Column("ip", sa.TEXT(), nullable=True),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.Column("first_seen", sa.TEXT(), nullable=False),
        sa.Column("offense_count", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column("banned_until", sa.TEXT(), nullable=False),
        sa.Column("escalation_level", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("ip", name=op.f("pk_ip_bans")),
    )
    op.create_index("idx_ip_bans_until", "ip_bans", ["banned_until"])
    op.create_table(
        "ip_rules",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("cidr", sa.TEXT(), nullable=False),
        sa.Column("action", sa.TEXT(), nullable=False),
        sa.Column("note", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("created_by", sa.TEXT()),
        sa.CheckConstraint("action IN ('allow', 'block')", name=op.f("ck_ip_rules_action")),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_ip_rules_action", "ip_rules", ["action"])


def downgrade() -> None:
    """Drop both tables; their indices go with them."""
    op.drop_table("ip_rules")
    op.drop_table("ip_bans")
