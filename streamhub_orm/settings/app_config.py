"""Reading an app's config.yaml, with the same meaning as in the Node core."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from streamhub_orm.durable_files import read_regular
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


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # as built
    """Dumper that quotes a text which either version of YAML would take for something else.

    By libyaml where PyYAML was built with it: every new app has its settings written.
    """


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
    _todo: str = field(default="Correct the file.", repr=False, compare=False)

    def section(self, *keys: str) -> dict[Any, Any]:
        """Return a mapping of the document, or one inside another; empty where it is not there.

        Raises `ConfigFileError` where a key holds something else.
        """
        found = self.document
        for number, key in enumerate(keys, 1):
            held = found.get(key)
            if held is None:
                return {}
            if not isinstance(held, dict):
                held = f"{'.'.join(keys[:number])} holding {kind_of(held)}"
                raise self.fault(held, "a mapping", *keys[:number])
            found = held
        return found

    def fault(self, found: str, expected: str, *keys: str) -> ConfigFileError:
        """Return the error for a value, with the line on which its key stands."""
        return ConfigFileError(self.path, found, expected, _line_of(self._root, keys), self._todo)

    @property
    def is_empty(self) -> bool:
        """True where there is no mapping at all, not even one without keys."""
        return not isinstance(self._root, yaml.MappingNode)


def load_app_config(path: Path) -> AppConfig:
    """Read a config.yaml; where there is none, or an empty one, the document is empty.

    Raises `ConfigFileError` with the line where it is no YAML, or no mapping.
    """
    content = read_bytes(path)
    return parse_document(path, b"" if content is None else content)


def read_bytes(path: Path) -> bytes | None:
    """Return the bytes of a config.yaml; None where there is none. Raises `ConfigFileError`."""
    try:
        content = read_regular(path, _MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except IrregularFileError as error:
        raise ConfigFileError(path, error.kind, error.expected) from error
    except OSError as error:
        todo = give_back(path) or "Correct the file."
        found = f"no readable file ({error.strerror})"
        raise ConfigFileError(path, found, "YAML", todo=todo) from error
    if len(content) > _MAX_BYTES:
        raise ConfigFileError(path, "more than 1 MiB", "a settings file")
    return content


def parse_document(path: Path, content: bytes, todo: str = "Correct the file.") -> AppConfig:
    """Return the settings that the bytes of a config.yaml hold; raises as `load_app_config` does.

    `todo` is what its errors say that is to be done.
    """
    try:
        loader = _Loader(text_of(content))
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found, expected = "bytes that are no UTF-8", "YAML in UTF-8"
        raise ConfigFileError(path, found, expected, line, todo) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = " ".join(filter(None, (error.context, error.problem)))
        at = None if mark is None else mark.line + 1
        raise ConfigFileError(path, found, "YAML", at, todo) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigFileError(path, " ".join(str(error).split()), "YAML", todo=todo) from error
    if not isinstance(document, dict | None):
        raise ConfigFileError(path, kind_of(document), "a mapping of settings", 1, todo)
    return AppConfig(path, document or {}, root, todo)


def text_of(content: bytes) -> str:
    """Return the text of the bytes, without a mark of their order; raises UnicodeDecodeError."""
    return content.decode().removeprefix("\ufeff")


def parse_value(text: str) -> object:
    """Return the value that a text is in YAML; raises ValueError, in whose words is no value."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        message = "found another text; expected a value in YAML, with quotes where it is a text"
        raise ValueError(message) from None


def dump_document(path: Path, document: dict[Any, Any]) -> bytes:
    """Return a document as YAML, with its keys in their order.

    What YAML 1.1 would take for something else than a text is quoted, so that every reader finds
    the same. Raises `ConfigFileError` for a value that safe YAML does not know.
    """
    try:
        text = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    except yaml.YAMLError as error:
        raise ConfigFileError(path, str(error), "plain values") from error
    return bytes(text.encode())


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
