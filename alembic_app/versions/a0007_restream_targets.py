"""Create restream_targets: where a room is sent on to, such as YouTube or Twitch.

url holds the stream key and is a secret, url_masked is what may be shown. Step 7 of the Node core's
per-app migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0007"
down_revision = "a0006"
branch_labels = None
depends_on = None

user_version: int = 7


def upgrade() -> None:
    """Create the table restream_targets and its three indices."""
    op.create_table(
        "restream_targets",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("app", sa.TEXT(), nullable=False),
        sa.Column("room", sa.TEXT(), nullable=False),
        sa.Column("stream_id", sa.TEXT()),
        sa.Column("name", sa.TEXT()),
        sa.Column("platform", sa.TEXT(), nullable=False, server_default="custom"),
        sa.Column("url", sa.TEXT(), nullable=False),
        sa.Column("url_masked", sa.TEXT(), nullable=False),
        sa.Column("egress_id", sa.TEXT()),
        sa.Column("status", sa.TEXT(), nullable=False, server_default="starting"),
        sa.Column("error", sa.TEXT()),
        sa.Column("retries", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column(
            "started_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("ended_at", sa.TEXT()),
        sa.CheckConstraint(
            "status IN ('starting', 'active', 'failed', 'stopped')",
            name=op.f("ck_restream_targets_status"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_restream_targets_room", "restream_targets", ["room"])
    op.create_index("idx_restream_targets_egress", "restream_targets", ["egress_id"])
    op.create_index("idx_restream_targets_status", "restream_targets", ["status"])


def downgrade() -> None:
    """Drop the table restream_targets; its indices go with it."""
    op.drop_table("restream_targets")
