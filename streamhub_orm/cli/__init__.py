"""The command line `streamhub-db`: click only; each command calls one library function."""

from streamhub_orm.cli.main import cli, main

__all__ = ["cli", "main"]
