"""Files of the folder `root`, filled in for one machine and written below its `/`."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import jinja2

from streamhub_orm.durable_files import write_whole
from streamhub_orm.engine.connections import translated
from streamhub_orm.maintenance.packaging.man import man_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    import click

_HOMES: Final = ("/home", "/root", "/run/user")
_TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - a service has folders of its own there
_CONFIGURATION: Final = "etc"
_MODES: Final = {"backup.env": 0o600, "alarm": 0o755}
_SHARED: Final = PurePosixPath("usr/local/share")
_MANUAL: Final = _SHARED / "man/man1"
_COMPLETIONS: Final = {  # where each shell looks by itself
    "bash": _SHARED / "bash-completion/completions/streamhub-db",
    "zsh": _SHARED / "zsh/site-functions/_streamhub-db",
    "fish": _SHARED / "fish/vendor_completions.d/streamhub-db.fish",
}


@dataclass(frozen=True)
class Services:
    """Services of one machine: program, user and folders. Paths are absolute and plain words."""

    program: Path
    """The installed `streamhub-db`."""
    data_dir: Path
    backup_dir: Path
    user: str
    group: str
    recipients: tuple[str, ...] = ()
    """Public keys that backups are encrypted for."""
    alarm_url: str | None = None
    """What gets a POST when a service fails."""

    @property
    def protect_home(self) -> str:
        """Return what ProtectHome= may be: homes are hidden unless something of it lies there."""
        used = (self.program, self.data_dir, self.backup_dir)
        return "read-only" if any(_is_below(path, _HOMES) for path in used) else "yes"


def _is_below(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def write_packaging(
    root: Path, services: Services, program: click.Command, completions: Mapping[str, str]
) -> dict[Path, bool]:
    """Write the files below `root`; tell of each whether it was written or kept.

    `completions` are the scripts of the shells `bash`, `zsh` and `fish`.
    What lies in etc/ is the operator's and kept; everything else is replaced. Raises
    `DatabaseFileError` where a file cannot be written; those before it are there then.
    """
    done = {}
    scripts = ((_COMPLETIONS[shell], script) for shell, script in completions.items())
    for place, text in (*_filled_in(services), *_manual(program), *scripts):
        path = root / place
        kept = place.parts[0] == _CONFIGURATION and os.path.lexists(path)
        done[path] = not kept
        if not kept:
            with translated(path, "writing it"):
                _make_folders(path.parent)
                write_whole(path, text.encode(), mode=_MODES.get(path.name, 0o644))
    return done


def differences(path: Path, services: Services) -> list[str]:
    """Return the variables that a kept `backup.env` sets otherwise than it would be written now."""
    wanted = {
        "DATA_DIR": str(services.data_dir),
        "BACKUP_LOCAL_DIR": str(services.backup_dir),
        "BACKUP_AGE_RECIPIENTS": ",".join(services.recipients),
        "ALARM_URL": services.alarm_url,
    }
    with translated(path, "reading it"):
        there = path.read_text("utf-8", errors="replace").splitlines()
    return [name for name, value in wanted.items() if value and f"{name}={value}" not in there]


def _filled_in(services: Services) -> Iterator[tuple[PurePosixPath, str]]:
    values: dict[str, Any] = {**asdict(services), "protect_home": services.protect_home}
    for name in _names(resources.files(__package__) / "root", PurePosixPath("root")):
        yield name.relative_to("root"), _templates.get_template(str(name)).render(values)


def _names(folder: Traversable, name: PurePosixPath) -> Iterator[PurePosixPath]:
    for entry in sorted(folder.iterdir(), key=lambda it: it.name):
        if entry.is_dir():
            yield from _names(entry, name / entry.name)
        else:
            yield name / entry.name


def _manual(program: click.Command) -> Iterator[tuple[PurePosixPath, str]]:
    for name, page in man_pages(program, "streamhub-db"):
        yield _MANUAL / f"{name}.1", page


def _make_folders(folder: Path) -> None:
    """Make what is missing of a path with a mode that lets every user read what lies in it."""
    for each in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            each.mkdir()
            each.chmod(0o755)


def blind_spots(services: Services, interpreter: Path) -> list[str]:
    """Return why the services could not run the program; nothing where they can."""
    found = []
    for path in (services.program, interpreter.resolve()):
        if _is_below(path, _TEMPORARY):
            found.append(f"{path} lies in a folder of which a service has its own")
        found += [
            f"{each} is closed to the user {services.user}"
            for each in (path, *path.parents)
            if each.exists() and not each.stat().st_mode & 0o001
        ]
    return found


_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("streamhub_orm.maintenance.packaging", ""),
    autoescape=False,  # noqa: S701 - no HTML
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)
