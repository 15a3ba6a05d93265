"""Insert the built-in tenant `platform` and its quotas.

Everything that was there before tenancy belongs to it, so its limits are as good as none. Rows that
are there already stay as they are. Step 6 of the Node core's global migrations.
"""

from alembic import op

revision = "g0006"
down_revision = "g0005"
branch_labels = None
depends_on = None

user_version: int = 6

DATA: tuple[str, ...] = (
    """
    INSERT INTO tenants (id, name, plan) VALUES ('platform', 'Platform', 'platform')
    ON CONFLICT (id) DO NOTHING
    """,
    """
    INSERT INTO quotas (tenant_id, max_apps, max_concurrent_streams, max_recording_minutes_month,
                        max_egress_gb_month, max_storage_gb)
    VALUES ('platform', 100000, 100000, 100000000, 100000, 100000)
    ON CONFLICT (tenant_id) DO NOTHING
    """,
)


def upgrade() -> None:
    """Insert the two rows where they are absent."""
    for statement in DATA:
        op.execute(statement)


def downgrade() -> None:
    """Do nothing: the rows stay as long as their tables do.

    Memberships and edited limits may hang on them, and the upgrade inserts only what is absent.
    """
