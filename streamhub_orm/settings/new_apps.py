"""Files of a new app beside its database, as the Node core makes them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.durable_files import finish, make_folder, make_subfolder, temporary_beside
from streamhub_orm.settings.app_config import dump_document
from streamhub_orm.settings.config_edits import mode_of_config
from streamhub_orm.settings.core_settings import new_app_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEDIA: Final = ("recordings", "snapshots", "samples")
"""Folders of a new app; the core itself writes its pages into `samples` at each start."""


def furnish(folder: Path, app: str, settings: Mapping[str, Any] | None = None) -> None:
    """Make an app's folder with its media folders and config.yaml, as far as they are not there.

    config.yaml holds `settings`, by default those of a new app. Folders have the mode of the folder
    around, and config.yaml the same, but for what only a folder needs and others may not write. It
    is the caller who flushes the entries of the folder, by what he makes in it next.
    """
    make_folder(folder)
    for name in MEDIA:
        make_subfolder(folder / name)
    path = folder / "config.yaml"
    if not path.exists() and not path.is_symlink():
        content = dump_document(path, dict(settings or new_app_settings(app)))
        with temporary_beside(path) as temporary, suppress(FileExistsError):
            temporary.write_bytes(content)
            finish(temporary, mode_of_config(path))
            os.link(temporary, path)
