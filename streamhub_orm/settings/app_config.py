"""Reading and writing an app's config.yaml, with the same meaning as in the Node core."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from streamhub_orm.durable_files import read_regular, write_whole
from streamhub_orm.errors import ConfigFileError, IrregularFileError
from streamhub_orm.owner import give_back

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES: Final = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """Safe loading by the core schema of YAML 1.2, which the Node core reads.

    By the 1.1 rules of PyYAML `yes` would become true, `22:30` 1350 and `0600` 384, and writing
    the file again would make that final.
    """

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc] # PyYAML's interface


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes a text which either version of YAML would take for something else."""


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text[1:2] in {"x", "o"} else int(text)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_INT: Final = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT: Final = (
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_CORE_SCHEMA: Final = (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INT, [*"-+0123456789"]),
    ("float", _FLOAT, [*"-+.0123456789"]),
    ("merge", r"<<", ["<"]),
)
for _tag, _pattern, _first in _CORE_SCHEMA:
    _resolver = (f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
    _Loader.add_implicit_resolver(*_resolver)
    _Dumper.add_implicit_resolver(*_resolver)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


@dataclass(frozen=True)
class AppConfig:
    """The settings of one app. `document` holds every key of the file, known or not."""

    path: Path
    document: dict[Any, Any] = field(default_factory=dict)
    _root: yaml.Node | None = field(default=None, repr=False, compare=False)

    def section(self, name: str) -> dict[Any, Any]:
        """Return a mapping of the document; empty where it is not there.

        Raises `ConfigFileError` where the key holds something else.
        """
        found = self.document.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            held = f"{name} holding {kind_of(found)}"
            raise self.fault(held, "a mapping", name)
        return found

    def fault(self, found: str, expected: str, *keys: str) -> ConfigFileError:
        """Return the error for a value, with the line on which its key stands."""
        return ConfigFileError(self.path, found, expected, _line_of(self._root, keys))


def load_app_config(path: Path) -> AppConfig:
    """Read a config.yaml; where there is none, or an empty one, the document is empty.

    Raises `ConfigFileError` with the line where it is no YAML, or no mapping.
    """
    text = _read(path)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = " ".join(filter(None, (error.context, error.problem)))
        line = None if mark is None else mark.line + 1
        raise ConfigFileError(path, found, "YAML", line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigFileError(path, " ".join(str(error).split()), "YAML") from error
    if not isinstance(document, dict | None):
        raise ConfigFileError(path, kind_of(document), "a mapping of settings", 1)
    return AppConfig(path, document or {}, root)


def save_app_config(config: AppConfig, *, mode: int) -> None:
    """Write a document to its path in one step, with the given mode.

    Keys keep their order; comments are lost. What YAML 1.1 would take for something else than a
    text is quoted, so that every reader finds the same. Raises `ConfigFileError` for a value that
    safe YAML does not know.
    """
    try:
        text = yaml.dump(config.document, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    except yaml.YAMLError as error:
        raise ConfigFileError(config.path, str(error), "plain values") from error
    write_whole(config.path, text.encode(), mode=mode)


def _read(path: Path) -> str:
    try:
        content = read_regular(path, _MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except IrregularFileError as error:
        raise ConfigFileError(path, error.kind, error.expected) from error
    except OSError as error:
        todo = give_back(path) or "Correct the file."
        found = f"no readable file ({error.strerror})"
        raise ConfigFileError(path, found, "YAML", todo=todo) from error
    if len(content) > _MAX_BYTES:
        raise ConfigFileError(path, "more than 1 MiB", "a settings file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigFileError(path, "bytes that are no UTF-8", "YAML in UTF-8", line) from error


def _line_of(node: yaml.Node | None, keys: tuple[str, ...]) -> int | None:
    """Return the line, counted from 1, of the innermost of `keys` that stands in the file."""
    line = None
    for wanted in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        pairs = ((key, value) for key, value in node.value if key.value == wanted)
        key, node = next(pairs, (None, None))
        if key is None:
            break
        line = key.start_mark.line + 1
    return line


def kind_of(value: object) -> str:
    """Return the kind of a value, in words that show nothing of it."""
    names = {
        str: "a text",
        list: "a list",
        bool: "true or false",
        int: "a number",
        dict: "a mapping",
    }
    return names.get(type(value), f"a {type(value).__name__}")
