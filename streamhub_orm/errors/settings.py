"""Errors about settings; none of them shows a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SettingsError(StreamHubError):
    """Base of errors about a settings file, which was left as it was found."""

    path: Path
    subject = "{place}"
    todo = "Correct the file."

    @property
    def place(self) -> str:
        """The file, and the line where that is known."""
        line = getattr(self, "line", None)
        return f"{self.path}" if line is None else f"{self.path}, line {line}"


class ConfigFileError(SettingsError):
    """Raised when an app's config.yaml is no YAML, or a key holds what it does not take."""

    found: str
    expected: str
    line: int | None = None
    todo: str = "Correct the file."


class UnknownPresetError(StreamHubError):
    """Raised when no preset of settings has this name."""

    name: str
    known: Sequence[str]
    found = "no preset {name!r}"
    expected = "one of {known}"
    todo = "Name one of them; nothing was changed."


class UnknownConfigBackupError(SettingsError):
    """Raised when no kept config.yaml of an app has this name."""

    name: str
    known: Sequence[str]
    found = "no {name!r} beside it"
    expected = "one of {known}"
    todo = "Name one of them; nothing was changed."


class SecretsFileError(SettingsError):
    """Raised when secrets.json is no flat JSON object of texts; `found` shows no value."""

    found: str
    line: int | None = None
    todo: str = "Correct the file."
    expected = "one flat JSON object, name to text"


class SettingsModeError(SettingsError):
    """Raised when others may read, or change, a settings file that is not for them."""

    mode: str
    allowed: str
    command: str
    found = "mode {mode}, which others can use"
    expected = "{allowed}"
    todo = "Run `{command}`."


class MissingSecretError(SettingsError):
    """Raised when a secret is neither in secrets.json nor in the environment.

    `name` must be fit to be shown: somebody may have put the secret itself in its place.
    """

    name: str
    found = "no entry {name}, and no such environment variable"
    expected = "the secret in one of them"
    todo = "Add it to the file, or set it in the environment; config.yaml names it."


class EnvironmentSettingError(StreamHubError):
    """Raised when an environment variable is missing, or holds what its setting does not take."""

    name: str
    found: str
    expected: str
    subject = "{name}"
    todo = "Set it, then run again."


class LogSettingError(StreamHubError, ValueError):
    """Raised for an invalid limit, file name or retention of the log."""

    setting: str
    value: object
    expected: str
    subject = "{setting}"
    found = "{value!r}"
    todo = "Correct it."
