"""Create app_plugins: which plugins an app has, and how they are set.

Step 5 of the Node core's per-app migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0005"
down_revision = "a0004"
branch_labels = None
depends_on = None

user_version: int = 5


def upgrade() -> None:
    """Create the table app_plugins and its index."""
    op.create_table(
        "app_plugins",
        sa.Column("plugin_id", sa.TEXT(), nullable=True),
        sa.Column("enabled", sa.INTEGER(), nullable=False, server_default=sa.text("1")),
        sa.Column("config_json", sa.TEXT()),
        sa.Column(
            "installed_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.Column(
            "updated_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("plugin_id", name=op.f("pk_app_plugins")),
    )
    op.create_index("idx_app_plugins_enabled", "app_plugins", ["enabled"])


def downgrade() -> None:
    """Drop the table app_plugins; its index goes with it."""
    op.drop_table("app_plugins")
