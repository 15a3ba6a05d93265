"""Errors about config.yaml, secrets.json and the environment. None of them shows a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = re.compile(r"[A-Z0-9_.-]{1,64}|[a-z0-9_.-]{1,64}")
"""What people name secrets. The secrets themselves mix cases: somebody may have put one here."""


class SettingsError(StreamHubError):
    """A settings file cannot be used; it was left as it was found."""

    def __init__(self, path: Path, found: str, expected: str, todo: str, line: int | None) -> None:
        """Keep the file, what was `found`, what was `expected`, what `todo`, and the line."""
        super().__init__(path, found, expected, todo, line)
        self.path = path
        self.found = found
        self.expected = expected
        self.todo = todo
        self.line = line

    def __str__(self) -> str:
        """Name the file and line, what was found, what was expected and what to do."""
        place = str(self.path) if self.line is None else f"{self.path}, line {self.line}"
        return f"{place}: found {self.found}; expected {self.expected}. {self.todo}"


class ConfigFileError(SettingsError):
    """An app's config.yaml is no YAML, or holds something else than what a key takes."""

    def __init__(self, path: Path, found: str, expected: str, line: int | None = None) -> None:
        """Keep the file, what was `found`, what was `expected` and the line, counted from 1."""
        super().__init__(path, found, expected, "Correct the file.", line)


class SecretsFileError(SettingsError):
    """secrets.json is no flat JSON object of texts."""

    def __init__(self, path: Path, found: str, line: int | None = None) -> None:
        """Keep the file, what was `found` (never a value) and the line."""
        expected = "one flat JSON object, name to text"
        super().__init__(path, found, expected, "Correct the file.", line)


class MissingSecretError(SettingsError):
    """A name that the settings refer to is neither in secrets.json nor in the environment."""

    def __init__(self, name: str, secrets_path: Path) -> None:
        """Keep the name and the secrets file; what may be a secret itself is not shown."""
        shown = name if _NAME.fullmatch(name) else "of the name that config.yaml gives"
        super().__init__(
            secrets_path,
            f"no entry {shown}, and no such environment variable",
            "the secret in one of them",
            "Add it to the file, or set it in the environment; config.yaml names it.",
            None,
        )


class EnvironmentSettingError(StreamHubError):
    """An environment variable holds what its setting does not take, or is missing."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        """Keep the variable's name, what was `found` (never a secret) and what was `expected`."""
        super().__init__(f"{name}: found {found}; expected {expected}. Set it, then run again.")
        self.name = name
        self.found = found
        self.expected = expected
