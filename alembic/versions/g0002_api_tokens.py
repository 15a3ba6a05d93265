"""Create api_tokens.

Tokens are looked up by the hash of what the client sends, hence the index; the token itself is
never stored. Tokens of one app go when the app goes. Step 2 of the Node core's global migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0002"
down_revision = "g0001"
branch_labels = None
depends_on = None

user_version: int = 2


def upgrade() -> None:
    """Create the table api_tokens and its look-up by hash."""
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("name", sa.TEXT(), nullable=False),
        sa.Column("token_hash", sa.TEXT(), nullable=False),
        sa.Column("scope", sa.TEXT(), nullable=False),
        sa.Column("app_id", sa.INTEGER()),
        sa.Column("allowed_ips_json", sa.TEXT()),
        sa.Column("last_used_at", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("revoked", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("scope IN ('global', 'app')", name=op.f("ck_api_tokens_scope")),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["apps.id"],
            name=op.f("fk_api_tokens_app_id_apps"),
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_api_tokens_hash", "api_tokens", ["token_hash"])


def downgrade() -> None:
    """Drop the table api_tokens; its index goes with it."""
    op.drop_table("api_tokens")
