"""Command line `streamhub-db`: it parses, calls the library and prints."""

from streamhub_orm.cli.main import cli, main

__all__ = ["cli", "main"]
