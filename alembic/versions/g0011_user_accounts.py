"""Make users accounts that sign in: a password hash, a status, a name and a second factor.

The Node core adds these columns at run time, so a file in the field has any of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0011"
down_revision = "g0010"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Add the columns in the order in which the Node core adds them."""
    op.add_column("users", sa.Column("password_hash", sa.TEXT()))
    op.add_column("users", sa.Column("status", sa.TEXT(), nullable=False, server_default="active"))
    op.add_column("users", sa.Column("name", sa.TEXT()))
    op.add_column("users", sa.Column("totp_secret", sa.TEXT()))
    op.add_column("users", sa.Column("totp_pending_secret", sa.TEXT()))
    op.add_column(
        "users",
        sa.Column("totp_enabled", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    """Drop the columns, last one first."""
    for name in (
        "totp_enabled",
        "totp_pending_secret",
        "totp_secret",
        "name",
        "status",
        "password_hash",
    ):
        op.drop_column("users", name)
