"""Deletion of an app's local files, only in the folders below its own and through no link."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def has_local_file(place: DataDir, app: str, stored: str) -> bool:
    """Tell whether there is something under the name that a row's `local_path` says."""
    inside = _inside(place, app, stored)
    return inside is not None and os.path.lexists(place.app_folder(app).joinpath(*inside))


def delete_local_file(place: DataDir, app: str, stored: str) -> str | None:
    """Delete the file that a row's `local_path` names; return why not, None where it is gone.

    A path that the Node core wrote under another root (`/data/apps/live/…`) is looked for in this
    installation too. What lies directly in the app's folder is its databases and settings, and is
    refused like a file elsewhere, a folder, and whatever a link leads to.
    """
    inside = _inside(place, app, stored)
    if inside is None:
        return _refusal(Path(stored))
    if len(inside) < 2 or ".." in inside:  # noqa: PLR2004 - a folder and a name
        return f"its local file {stored} lies in no folder of the app"
    return _unlink(place.app_folder(app), inside, stored)


def local_snapshot(stored: str) -> str:
    """Return where the snapshot of the recording at this `local_path` lies in the app's folder."""
    return f"snapshots/{PurePosixPath(stored).stem}.jpg"


def _inside(place: DataDir, app: str, stored: str) -> tuple[str, ...] | None:
    """Return the parts of the path below the app's folder; None where it leads elsewhere."""
    path = PurePosixPath(stored)
    if not path.is_absolute():
        return path.parts
    folder = place.app_folder(app)
    if path.is_relative_to(folder):
        return path.relative_to(folder).parts
    parts = path.parts
    for position in range(len(parts) - 2, 0, -1):
        if parts[position : position + 2] == ("apps", app):
            return parts[position + 2 :]
    return None


def _refusal(path: Path) -> str | None:
    if os.path.lexists(path):
        return f"its local file {path} lies outside of the app's folder"
    return None


def _unlink(folder: Path, parts: tuple[str, ...], stored: str) -> str | None:
    """Walk down folder by folder, so that nobody can put a link in the way meanwhile."""
    try:
        with ExitStack() as stack:
            descriptor = os.open(folder, _FOLDER)
            stack.callback(os.close, descriptor)
            for name in parts[:-1]:
                descriptor = os.open(name, _FOLDER, dir_fd=descriptor)
                stack.callback(os.close, descriptor)
            mode = os.stat(parts[-1], dir_fd=descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                return f"its local file {stored} is a folder, a link or a special file"
            os.unlink(parts[-1], dir_fd=descriptor)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"its local file {stored} cannot be deleted ({error})"
    return None
