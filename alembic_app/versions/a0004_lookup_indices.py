"""Index streams and vods by room, by start, and by status with start.

The lists of the console filter by room or status and sort by start. Step 4 of the Node core's
per-app migrations.
"""

from alembic import op

revision = "a0004"
down_revision = "a0003"
branch_labels = None
depends_on = None

user_version: int = 4


def upgrade() -> None:
    """Create the six indices."""
    op.create_index("idx_vods_room", "vods", ["room"])
    op.create_index("idx_vods_started_at", "vods", ["started_at"])
    op.create_index("idx_vods_status_started", "vods", ["status", "started_at"])
    op.create_index("idx_streams_room", "streams", ["room"])
    op.create_index("idx_streams_started_at", "streams", ["started_at"])
    op.create_index("idx_streams_status_started", "streams", ["status", "started_at"])


def downgrade() -> None:
    """Drop the six indices."""
    op.drop_index("idx_streams_status_started", table_name="streams")
    op.drop_index("idx_streams_started_at", table_name="streams")
    op.drop_index("idx_streams_room", table_name="streams")
    op.drop_index("idx_vods_status_started", table_name="vods")
    op.drop_index("idx_vods_started_at", table_name="vods")
    op.drop_index("idx_vods_room", table_name="vods")
