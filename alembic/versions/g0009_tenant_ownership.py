"""Give apps and api_tokens an owner, the platform tenant where none is named.

A token of one app belongs to whom its app belongs to. The Node core adds these columns at run time,
so a file in the field has both, one or none of them, and rows that were written in between.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0009"
down_revision = "g0008"
branch_labels = None
depends_on = None

user_version: int = 8

DATA: tuple[str, ...] = (
    "UPDATE apps SET tenant_id = 'platform' WHERE tenant_id IS NULL",
    "UPDATE api_tokens SET tenant_id = 'platform' WHERE tenant_id IS NULL",
    """
    UPDATE api_tokens
    SET tenant_id = (SELECT apps.tenant_id FROM apps WHERE apps.id = api_tokens.app_id)
    WHERE scope = 'app'
      AND EXISTS (SELECT 1 FROM apps
                  WHERE apps.id = api_tokens.app_id AND apps.tenant_id <> api_tokens.tenant_id)
    """,
)


def upgrade() -> None:
    """Add the two columns, fill them and index them."""
    op.add_column("apps", sa.Column("tenant_id", sa.TEXT(), server_default="platform"))
    op.add_column("api_tokens", sa.Column("tenant_id", sa.TEXT(), server_default="platform"))
    for statement in DATA:
        op.execute(statement)
    op.create_index("idx_apps_tenant", "apps", ["tenant_id"])
    op.create_index("idx_api_tokens_tenant", "api_tokens", ["tenant_id"])


def downgrade() -> None:
    """Drop the indices, then the columns they hold on to."""
    op.drop_index("idx_api_tokens_tenant", table_name="api_tokens")
    op.drop_index("idx_apps_tenant", table_name="apps")
    op.drop_column("api_tokens", "tenant_id")
    op.drop_column("apps", "tenant_id")
