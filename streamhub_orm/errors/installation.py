"""Errors about an installation: its folder, apps, settings, revisions, and the use of it."""

from __future__ import annotations

from bisect import bisect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DataDirError(StreamHubError):
    """Raised when the folder given as DATA_DIR is not one usable StreamHub installation."""

    path: Path
    found: str
    expected: str
    todo: str
    subject = "{path}"


class ForeignOwnerError(StreamHubError):
    """Raised when root's process works on an installation that belongs to somebody else."""

    path: Path
    user: str
    subject = "{path}"
    found = "root at work in an installation that belongs to {user}"
    expected = "its owner, who alone can be led no further by a link than he may go himself"
    todo = (
        "Run this as {user}, or call `streamhub_orm.owner.become_owner` first, as streamhub-db "
        "does."
    )


class OutOfReachError(StreamHubError):
    """Raised when the owner of an installation may not enter a folder that the work needs."""

    path: Path
    user: str
    subject = "{path}"
    found = "a folder that {user}, who owns the installation, may not enter"
    expected = "one that its owner can use, since root works there as its owner"
    todo = "Let {user} enter it (`chmod o+x` on the folder), or move the installation."


class ScratchFolderError(StreamHubError):
    """Raised when the folder for temporary files cannot be used by the one who works."""

    path: Path
    user: str
    subject = "TMPDIR"
    found = "the folder {path}, which {user} may not write"
    expected = "a folder for temporary files that {user} can use, as root works as the owner"
    todo = "Set TMPDIR to another folder (TMPDIR=/tmp), then run again; nothing was touched."


class DemoTargetError(StreamHubError):
    """Raised when the demo installation is asked for in a folder that holds something."""

    path: Path
    subject = "{path}"
    found = "a folder that is not empty"
    expected = "a new or empty one for the demo installation"
    todo = "Name another folder."


class ReportTargetError(StreamHubError):
    """Raised when the report is asked for under a name that something else has."""

    path: Path
    found: str
    subject = "{path}"
    expected = "a new name in a folder that exists, or an older report"
    todo = "Name another file."


class AppNameError(StreamHubError):
    """Raised for a name that no app can have; names are an allow-list, as they become paths."""

    name: object
    where: str
    subject = "{where}"
    found = "the app name {name!r}"
    expected = "3 to 32 characters a-z, 0-9 and -, beginning and ending with a letter or digit"
    todo = "Rename the app or correct the name."
    public_message = "This cannot be the name of an app. Expected are {expected}."


class UnknownAppError(StreamHubError):
    """Raised when the app is not in the registry, the global table `apps`."""

    name: str
    registry: Path | str
    """A file, or a server without its password."""
    known: Sequence[str]
    subject = "{registry}"
    found = "no app {name!r} in its table apps (similar names: {near})"
    expected = "the name of a registered app"
    todo = "Correct the name, or create the app first."
    public_message = "There is no such app."

    @property
    def near(self) -> tuple[str, ...]:
        """Up to three registered names that are like the one that was asked for."""
        names = sorted(self.known)
        place = bisect(names, self.name)
        # A comparison takes 30 us: among 10,000 names it would hold up a service for 0.3 s.
        return tuple(get_close_matches(self.name, names[max(0, place - 500) : place + 500]))


class AppExistsError(StreamHubError):
    """Raised when an app of this name is registered already."""

    name: str
    subject = "app {name!r}"
    found = "it in the registry already"
    expected = "a new name"
    todo = "Name another."
    public_message = "This name of an app is taken. Choose another."


class AppFolderTakenError(StreamHubError):
    """Raised when the folder of a new app holds rows that nobody asked to take over."""

    name: str
    app_db: Path
    rows: int
    subject = "{app_db}"
    found = "{rows} rows of an app that is not registered"
    expected = "a new or empty folder"
    todo = "Move it away, or ask to take it over (reuse_folder, --reuse-folder)."
    public_message = "This name of an app is taken. Choose another."


class UnknownRevisionError(StreamHubError):
    """Raised when a revision is in neither history, or not on the way that was asked for."""

    revision: str
    world: str
    reason: str
    todo: str = "`streamhub-db history` lists them."
    found = "the revision {revision!r}: {reason}"
    expected = "one of the {world} history that can be reached"


class NoCheckoutError(StreamHubError):
    """Raised when a revision is to be written, but the histories are in an installed package."""

    folder: Path
    subject = "{folder}"
    found = "a part of an installed package"
    expected = "a checkout with alembic.ini"
    todo = "Run this in the project's checkout."


class RevisionRuleError(StreamHubError):
    """Raised when a revision file breaks a rule of the project; `rule` is its name."""

    exit_code: ClassVar[int] = 1

    path: Path
    line: int
    rule: str
    found: str
    expected: str
    why: str
    subject = "{path}:{line}"
    todo = "{why} (rule {rule})"

    @property
    def details(self) -> dict[str, Any]:
        """The finding, as `revision lint --json` lists it."""
        names = ("line", "rule", "found", "expected", "why")
        return {"path": str(self.path), **{name: getattr(self, name) for name in names}}


class MissingExtraError(StreamHubError, ImportError):
    """Raised when a part of this package is used whose dependencies are not installed."""

    module: str
    packages: str
    extra: str
    subject = "{module}"
    found = "no {packages}"
    expected = "it to be installed"
    todo = "Install this package with its extra: pip install 'streamhub-orm[{extra}]'"


class OutputError(StreamHubError):
    """Raised when what a command shows this once cannot be written to its stdout."""

    fault: str
    subject = "stdout"
    found = "output that cannot be written ({fault})"
    expected = "a place for what is shown this once"
    todo = "Nothing was kept of it: give it such a place, then run again."


class ListenError(StreamHubError):
    """Raised when a server cannot take connections at an address."""

    address: str
    fault: str
    subject = "{address}"
    found = "an address that cannot be listened at ({fault})"
    expected = "one of this machine that nobody else listens at"
    todo = "Name another by --host and --port, or end what listens there."


class UnforeseenError(StreamHubError):
    """Raised for a fault that no part of this package foresaw: all that an operator sees."""

    exit_code: ClassVar[int] = 1

    fault: str
    found = "{fault}"
    expected = "no such fault"
    todo = "What was done is whole; run the same command again, and report it with what -vv shows."
