"""Index the tokens of an app and the log of an app.

Listing either walked its whole table. Step 8, the last that the Node core counts in user_version.
"""

from alembic import op

revision = "g0008"
down_revision = "g0007"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Create the two indices."""
    op.create_index("idx_api_tokens_app", "api_tokens", ["app_id"])
    op.create_index("idx_server_logs_app_ts", "server_logs", ["app_id", "ts"])


def downgrade() -> None:
    """Drop the two indices."""
    op.drop_index("idx_server_logs_app_ts", table_name="server_logs")
    op.drop_index("idx_api_tokens_app", table_name="api_tokens")
