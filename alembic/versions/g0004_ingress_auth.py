"""Create ingress_auth, the global one.

Ingress credentials lived here, keyed by the app's name, until each app got a file of its own. The
table stays for the rows that the split leaves in place. Step 4 of the Node core's global
migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0004"
down_revision = "g0003"
branch_labels = None
depends_on = None

user_version: int = 4


def upgrade() -> None:
    """Create the table ingress_auth and its look-up by app."""
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


def downgrade() -> None:
    """Drop the table ingress_auth; its index goes with it."""
    op.drop_table("ingress_auth")
