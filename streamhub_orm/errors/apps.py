"""Errors about making and deleting apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError
from streamhub_orm.errors.files import DatabaseFileError

if TYPE_CHECKING:
    from pathlib import Path


class AppExistsError(StreamHubError):
    """An app of this name is registered already."""

    def __init__(self, name: str) -> None:
        """Keep the name."""
        super().__init__(
            f"app {name!r}: found it in the registry already; expected a new name. Name another."
        )
        self.name = name


class AppFolderTakenError(StreamHubError):
    """The folder of a new app holds an app.db with rows, which nobody asked to take over."""

    def __init__(self, name: str, app_db: Path, rows: int) -> None:
        """Keep the name, the database and how many rows it holds."""
        super().__init__(
            f"{app_db}: found {rows} rows of an app that is not registered; expected a new or "
            "empty folder. Move it away, or ask to take it over (reuse_folder, --reuse-folder)."
        )
        self.name = name
        self.app_db = app_db
        self.rows = rows


class AppBusyError(DatabaseFileError):
    """The app's database is open, so it cannot be deleted."""

    def __init__(self, name: str, app_db: Path, holder: str) -> None:
        """Keep the name, the database and who holds it."""
        super().__init__(
            app_db,
            f"it open in {holder}",
            "nobody to use an app that is to be deleted",
            "End its sessions, stop the server, and delete it again.",
        )
        self.name = name
        self.app_db = app_db
