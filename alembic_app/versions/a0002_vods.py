"""Create vods: recordings, from the moment they start.

Step 2 of the Node core's per-app migrations. stream_id names streams.stream_id without a foreign
key: a recording outlives its stream.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0002"
down_revision = "a0001"
branch_labels = None
depends_on = None

user_version: int = 2


def upgrade() -> None:
    """Create the table vods and its two indices."""
    op.create_table(
        "vods",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("app_id", sa.INTEGER(), nullable=False),
        sa.Column("stream_id", sa.TEXT()),
        sa.Column("room", sa.TEXT()),
        sa.Column("name", sa.TEXT(), nullable=False),
        sa.Column("file_key", sa.TEXT()),
        sa.Column("s3_url", sa.TEXT()),
        sa.Column("public_url", sa.TEXT()),
        sa.Column("size_bytes", sa.INTEGER()),
        sa.Column("duration_s", sa.REAL()),
        sa.Column("width", sa.INTEGER()),
        sa.Column("height", sa.INTEGER()),
        sa.Column("format", sa.TEXT()),
        sa.Column("status", sa.TEXT(), nullable=False, server_default="recording"),
        sa.Column("local_path", sa.TEXT()),
        sa.Column("started_at", sa.TEXT()),
        sa.Column("ended_at", sa.TEXT()),
        sa.Column("metatags_json", sa.TEXT()),
        sa.Column("snapshot_key", sa.TEXT()),
        sa.CheckConstraint(
            "status IN ('recording', 'uploading', 'ready', 'failed')",
            name=op.f("ck_vods_status"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_vods_status", "vods", ["status"])
    op.create_index("idx_vods_stream", "vods", ["stream_id"])


def downgrade() -> None:
    """Drop the table vods; its indices go with it."""
    op.drop_table("vods")
