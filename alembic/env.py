"""Alembic's entry to the global history; all it does is in streamhub_orm.migrations.environment."""

from streamhub_orm.migrations.environment import run_environment

run_environment("global")
