"""Create ingress_auth and _streamhub_meta in the app's own file.

Ingress credentials move here from the global database; _streamhub_meta holds the markers that say
which sources have been imported. Step 3 of the Node core's per-app migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0003"
down_revision = "a0002"
branch_labels = None
depends_on = None

user_version: int = 3


def upgrade() -> None:
    """Create both tables and the look-up by app."""
    op.create_table(
        "ingress_auth",
        sa.Column("ingress_id", sa.TEXT(), nullable=True),
        sa.Column("app", sa.TEXT(), nullable=False),
        sa.Column("room", sa.TEXT()),
        sa.Column("stream_key", sa.TEXT()),
        sa.Column("password_hash", sa.TEXT()),
        sa.Column("password_salt", sa.TEXT()),
        sa.Column("requires_password", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column("validated_at", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("ingress_id", name=op.f("pk_ingress_auth")),
    )
    op.create_index("idx_ingress_auth_app", "ingress_auth", ["app"])
    op.create_table(
        "_streamhub_meta",
        sa.Column("key", sa.TEXT(), nullable=True),
        sa.Column("value", sa.TEXT()),
        sa.Column(
            "updated_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk__streamhub_meta")),
    )


def downgrade() -> None:
    """Drop both tables; the index goes with its table."""
    op.drop_table("_streamhub_meta")
    op.drop_table("ingress_auth")
