"""Create tenants, users, memberships and quotas.

A tenant owns apps and has one quotas row; a user belongs to tenants through memberships, with one
role in each. Memberships and quotas go with their tenant. Step 5 of the Node core's global
migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "g0005"
down_revision = "g0004"
branch_labels = None
depends_on = None

user_version: int = 5


def upgrade() -> None:
    """Create the four tables, parents first."""
    _create_tenants_and_users()
    _create_memberships()
    _create_quotas()


def downgrade() -> None:
    """Drop the four tables, children first."""
    op.drop_table("quotas")
    op.drop_table("memberships")
    op.drop_table("users")
    op.drop_table("tenants")


def _create_tenants_and_users() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.TEXT(), nullable=True),
        sa.Column("name", sa.TEXT(), nullable=False),
        sa.Column("plan", sa.TEXT(), nullable=False, server_default="free"),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.TEXT(), nullable=True),
        sa.Column("email", sa.TEXT()),
        sa.Column("is_superadmin", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("idx_users_email", "users", ["email"])


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.TEXT(), nullable=False),
        sa.Column("tenant_id", sa.TEXT(), nullable=False),
        sa.Column("role", sa.TEXT(), nullable=False, server_default="viewer"),
        sa.Column(
            "created_at", sa.TEXT(), nullable=False, server_default=sa.text("(datetime('now'))")
        ),
        sa.PrimaryKeyConstraint("user_id", "tenant_id", name=op.f("pk_memberships")),
        sa.CheckConstraint(
            "role IN ('owner', 'editor', 'viewer')", name=op.f("ck_memberships_role")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_memberships_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_memberships_tenant_id_tenants"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_memberships_tenant", "memberships", ["tenant_id"])


def _create_quotas() -> None:
    free_plan = {
        "max_apps": "2",
        "max_concurrent_streams": "2",
        "max_recording_minutes_month": "300",
        "max_egress_gb_month": "5",
        "max_storage_gb": "5",
    }
    op.create_table(
        "quotas",
        sa.Column("tenant_id", sa.TEXT(), nullable=True),
        *(
            sa.Column(name, sa.INTEGER(), nullable=False, server_default=sa.text(limit))
            for name, limit in free_plan.items()
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_quotas")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_quotas_tenant_id_tenants"),
            ondelete="CASCADE",
        ),
    )
