"""Both histories: the only user of Alembic in this package."""
