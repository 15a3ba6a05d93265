"""Index users by e-mail without case.

People type their address in any case and the Node core asks `WHERE email = ? COLLATE NOCASE` on
every sign-in; idx_users_email compares bytes and cannot serve that. First revision of our own: it
changes no column, so the Node core opens the file as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0014"
down_revision = "g0013"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Create the index."""
    op.create_index("idx_users_email_nocase", "users", [sa.text("email COLLATE NOCASE")])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("idx_users_email_nocase", table_name="users")
