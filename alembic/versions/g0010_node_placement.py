"""Say on which node an app runs, and keep the numbers that a node reports about itself.

The Node core adds these columns at run time, so a file in the field has both, one or none of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0010"
down_revision = "g0009"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Add the two columns."""
    op.add_column("apps", sa.Column("node_id", sa.TEXT()))
    op.add_column("nodes", sa.Column("stats_json", sa.TEXT()))


def downgrade() -> None:
    """Drop the two columns."""
    op.drop_column("nodes", "stats_json")
    op.drop_column("apps", "node_id")
