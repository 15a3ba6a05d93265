"""Reading and writing secrets.json, a flat JSON object that only its owner can read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import read_regular, write_whole
from streamhub_orm.errors import IrregularFileError, MissingSecretError, SecretsFileError
from streamhub_orm.owner import give_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODE: Final = 0o600
_NAME: Final = re.compile(r"[A-Z0-9_.-]{1,64}|[a-z0-9_.-]{1,64}")
"""Names that people give secrets. Secrets themselves mix cases: one may stand here by mistake."""


class Secrets(Mapping[str, str]):
    """The entries of one secrets.json. Its repr shows names, never values."""

    def __init__(self, path: Path, values: Mapping[str, str]) -> None:
        """Keep the file's path and its entries."""
        self.path = path
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        """Return an entry; raises `KeyError`."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._values)

    def __repr__(self) -> str:
        """Show the names alone."""
        return f"Secrets({str(self.path)!r}, names={sorted(self._values)})"

    def resolve(self, name: str, environment: Mapping[str, str] | None = None) -> str:
        """Return the secret that `name` refers to: from the environment first, then the file.

        An empty text counts as none; both as in the Node core. Raises `MissingSecretError`.
        """
        variables = os.environ if environment is None else environment
        value = variables.get(name) or self._values.get(name)
        if not value:
            raise MissingSecretError(self.path, shown_name(name))
        return value


def shown_name(name: str) -> str:
    """Return a name as errors may show it: a secret may stand in its place by mistake."""
    return name if _NAME.fullmatch(name) else "of the name that config.yaml gives"


def load_secrets(path: Path) -> Secrets:
    """Read secrets.json; where there is none, there are no entries.

    Raises `SecretsFileError`, which never shows what the file holds.
    """
    text = _read_text(path)
    if text is None:
        return Secrets(path, {})
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise SecretsFileError(path, f"no JSON ({error.msg})", error.lineno) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise SecretsFileError(path, "a number of too many digits") from None
    except RecursionError:
        raise SecretsFileError(path, "JSON nested too deeply") from None
    if not isinstance(values, dict):
        raise SecretsFileError(path, f"a JSON {type(values).__name__}")
    for name, value in values.items():
        if not isinstance(value, str):
            raise SecretsFileError(path, f"{name!r} holding a {type(value).__name__}")
    return Secrets(path, values)


def _read_text(path: Path) -> str | None:
    """Return the text of the file; None where there is none."""
    try:
        return read_regular(path).decode()
    except FileNotFoundError:
        return None
    except IrregularFileError as error:
        raise SecretsFileError(path, error.kind) from None
    except UnicodeDecodeError:
        raise SecretsFileError(path, "bytes that are no UTF-8") from None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        todo = give_back(path) or "Correct the file."
        raise SecretsFileError(path, found, todo=todo) from None


def save_secrets(path: Path, values: Mapping[str, str]) -> None:
    """Write secrets.json in one step, with mode 0600.

    Entries that are not in `values` are gone, so start from what `load_secrets` gave.
    """
    text = json.dumps(dict(values), ensure_ascii=False, indent=2) + "\n"
    write_whole(path, text.encode(), mode=_MODE)
