"""The config.yaml of an app: read as the Node core reads it, and changed without losing a key.

Functions take a session on the global database: its write lock, or the lock of the app's row on a
server, orders those who change one file, and the row gets the display name and the room prefix that
the file then says. The file
is exchanged at once, the row when the session commits; `reload` brings the row up to the file.
Where the registry does not know the app they raise `UnknownAppError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamhub_orm import settings as files
from streamhub_orm.engine.connections import translated
from streamhub_orm.schema import utc_now
from streamhub_orm.services import apps
from streamhub_orm.settings.core_settings import shown_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.settings import Edited

__all__ = ["apply_preset", "change", "list_backups", "read", "reload", "revert", "write"]


def read(session: Session, place: DataDir, name: str) -> dict[str, Any]:
    """Return the settings of an app as the core reads them: see `effective_settings`."""
    apps.get_id(session, name)
    return files.effective_settings(files.load_app_config(place.app_config(name)), name)


def change(
    session: Session,
    place: DataDir,
    name: str,
    changes: Mapping[str, Any],
    *,
    now: datetime | None = None,
) -> Edited:
    """Change keys of config.yaml, such as `{"s3": {"bucket": "media"}}`.

    All that is not named stays, comments too. Without changes it makes a file that is missing.
    Raises as `streamhub_orm.settings.change_app_config` does; nothing is changed then.
    """
    return _edit(session, place, name, files.change_app_config, given=changes, now=now)


def write(
    session: Session, place: DataDir, name: str, content: bytes, *, now: datetime | None = None
) -> Edited:
    """Write the whole text of config.yaml, to the byte, by the core's rules.

    Raises as `streamhub_orm.settings.write_app_config` does; nothing is changed then.
    """
    return _edit(session, place, name, files.write_app_config, given=content, now=now)


def apply_preset(
    session: Session, place: DataDir, name: str, preset: str, *, now: datetime | None = None
) -> Edited:
    """Change config.yaml as a preset says, one of `streamhub_orm.settings.PRESETS`.

    Raises `UnknownPresetError`, and what `change` raises.
    """
    return _edit(session, place, name, files.apply_preset, given=preset, now=now)


def revert(
    session: Session, place: DataDir, name: str, backup: str, *, now: datetime | None = None
) -> Edited:
    """Write a kept file back, by one of the names that `list_backups` returns.

    Raises `UnknownConfigBackupError`, and what `write` raises.
    """
    return _edit(session, place, name, files.revert_app_config, given=backup, now=now)


def list_backups(session: Session, place: DataDir, name: str) -> list[str]:
    """Return the names of the kept files of an app, the newest first: 20 at most."""
    apps.get_id(session, name)
    return files.list_config_backups(place.app_config(name))


def reload(session: Session, place: DataDir, name: str, *, now: datetime | None = None) -> None:
    """Copy display name and room prefix from config.yaml into the app's row.

    Raises `ConfigFileError`.
    """
    config = files.load_app_config(place.app_config(name))
    display_name, room_prefix = shown_names(config, name)
    apps.update(session, name, now=now, display_name=display_name, livekit_room_prefix=room_prefix)


def _edit(  # noqa: PLR0913 - what the functions above have in common
    session: Session,
    place: DataDir,
    name: str,
    edit: Callable[..., Edited],
    *,
    given: object,
    now: datetime | None,
) -> Edited:
    apps.get_id(session, name, lock=True)
    moment = now or utc_now()
    path: Path = place.app_config(name)
    with translated(path, "changing it"):
        edited = edit(path, name, given, now=moment)
    reload(session, place, name, now=moment)
    return edited
