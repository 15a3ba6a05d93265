"""Create streams: who is, or was, live in this app.

Step 1 of the Node core's per-app migrations. The list of types is the narrow one of that time.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0001"
down_revision = None
branch_labels = None
depends_on = None

user_version: int = 1


def upgrade() -> None:
    """Create the table streams and its index."""
    op.create_table(
        "streams",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("app_id", sa.INTEGER(), nullable=False),
        sa.Column("stream_id", sa.TEXT(), nullable=False),
        sa.Column("type", sa.TEXT(), nullable=False),
        sa.Column("room", sa.TEXT()),
        sa.Column("participant", sa.TEXT()),
        sa.Column("status", sa.TEXT(), nullable=False, server_default="active"),
        sa.Column(
            "started_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("ended_at", sa.TEXT()),
        sa.Column("last_stats_json", sa.TEXT()),
        sa.UniqueConstraint("stream_id", name=op.f("uq_streams_stream_id")),
        sa.CheckConstraint(
            "type IN ('webrtc', 'rtmp', 'rtsp', 'whip')", name=op.f("ck_streams_type")
        ),
        sa.CheckConstraint("status IN ('active', 'ended')", name=op.f("ck_streams_status")),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_streams_status", "streams", ["status"])


def downgrade() -> None:
    """Drop the table streams; its index goes with it."""
    op.drop_table("streams")
