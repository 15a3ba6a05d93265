"""Create sessions and magic_tokens.

sessions lists who is signed in and from where; magic_tokens holds the one-time links sent by
e-mail, as hashes. The Node core creates both at run time and gave magic_tokens its `kind` later.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0012"
down_revision = "g0011"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Create both tables and their indices."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.TEXT(), nullable=True),
        sa.Column("user_id", sa.TEXT(), nullable=False),
        sa.Column("email", sa.TEXT()),
        sa.Column("ip", sa.TEXT()),
        sa.Column("user_agent", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("last_seen", sa.TEXT()),
        sa.Column("revoked_at", sa.TEXT()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("idx_sessions_user", "sessions", ["user_id"])
    op.create_table(
        "magic_tokens",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("token_hash", sa.TEXT(), nullable=False),
        sa.Column("email", sa.TEXT(), nullable=False),
        sa.Column("request_ip", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("expires_at", sa.TEXT(), nullable=False),
        sa.Column("used", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column("used_at", sa.TEXT()),
        sa.Column("kind", sa.TEXT(), nullable=False, server_default="login"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_magic_tokens_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_magic_tokens_email", "magic_tokens", ["email"])
    op.create_index("idx_magic_tokens_created", "magic_tokens", ["created_at"])


def downgrade() -> None:
    """Drop both tables; their indices go with them."""
    op.drop_table("magic_tokens")
    op.drop_table("sessions")
