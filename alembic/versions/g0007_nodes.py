"""Create nodes and _streamhub_meta.

nodes lists the servers of a cluster; _streamhub_meta holds the markers of one-time work such as the
split into one file per app. Step 7 of the Node core's global migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0007"
down_revision = "g0006"
branch_labels = None
depends_on = None

user_version: int = 7


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "nodes",
        sa.Column("id", sa.TEXT(), nullable=True),
        sa.Column("name", sa.TEXT()),
        sa.Column("url", sa.TEXT()),
        sa.Column("region", sa.TEXT()),
        sa.Column("status", sa.TEXT(), nullable=False, server_default="unknown"),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("last_seen_at", sa.TEXT()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "_streamhub_meta",
        sa.Column("key", sa.TEXT(), nullable=True),
        sa.Column("value", sa.TEXT()),
        sa.Column(
            "updated_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk__streamhub_meta")),
        # The split comes before the global upgrade, and writes its markers into a file of any age.
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("_streamhub_meta")
    op.drop_table("nodes")
