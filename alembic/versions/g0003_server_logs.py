"""Create server_logs.

Read newest first, over all apps or for one app and level, hence the two indices. A log line
outlives the app that it speaks of. Step 3 of the Node core's global migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0003"
down_revision = "g0002"
branch_labels = None
depends_on = None

user_version: int = 3


def upgrade() -> None:
    """Create the table server_logs and its two indices."""
    op.create_table(
        "server_logs",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("ts", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")),
        sa.Column("level", sa.TEXT(), nullable=False),
        sa.Column("source", sa.TEXT()),
        sa.Column("app_id", sa.INTEGER()),
        sa.Column("message", sa.TEXT(), nullable=False),
        sa.Column("meta_json", sa.TEXT()),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["apps.id"],
            name=op.f("fk_server_logs_app_id_apps"),
            ondelete="SET NULL",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_server_logs_ts", "server_logs", ["ts"])
    op.create_index("idx_server_logs_app_level", "server_logs", ["app_id", "level"])


def downgrade() -> None:
    """Drop the table server_logs; its indices go with it."""
    op.drop_table("server_logs")
