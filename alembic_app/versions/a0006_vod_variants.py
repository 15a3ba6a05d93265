"""Create vod_variants: the files that one recording exists in.

vod_id has no foreign key: the service deletes variants together with their stored objects. Step 6
of the Node core's per-app migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0006"
down_revision = "a0005"
branch_labels = None
depends_on = None

user_version: int = 6


def upgrade() -> None:
    """Create the table vod_variants and its look-up by recording."""
    op.create_table(
        "vod_variants",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("vod_id", sa.INTEGER(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False, server_default="rendition"),
        sa.Column("format", sa.TEXT(), nullable=False),
        sa.Column("height", sa.INTEGER()),
        sa.Column("bitrate_kbps", sa.INTEGER()),
        sa.Column("file_key", sa.TEXT()),
        sa.Column("size_bytes", sa.INTEGER()),
        sa.Column("extra_json", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.CheckConstraint(
            "kind IN ('master', 'rendition', 'alternate')",
            name=op.f("ck_vod_variants_kind"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_vod_variants_vod", "vod_variants", ["vod_id"])


def downgrade() -> None:
    """Drop the table vod_variants; its index goes with it."""
    op.drop_table("vod_variants")
