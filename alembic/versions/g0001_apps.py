"""Create apps, the registry of apps.

Every other table of an installation hangs on a row here, and each row has a folder `apps/<name>`
with a database of its own. Step 1 of the Node core's global migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0001"
down_revision = None
branch_labels = None
depends_on = None

user_version: int = 1


def upgrade() -> None:
    """Create the table apps."""
    op.create_table(
        "apps",
        sa.Column("id", sa.INTEGER(), primary_key=True, nullable=True),
        sa.Column("name", sa.TEXT(), nullable=False),
        sa.Column("display_name", sa.TEXT()),
        sa.Column("livekit_room_prefix", sa.TEXT()),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column(
            "updated_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column("settings_json", sa.TEXT()),
        sa.UniqueConstraint("name", name=op.f("uq_apps_name")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the table apps."""
    op.drop_table("apps")
