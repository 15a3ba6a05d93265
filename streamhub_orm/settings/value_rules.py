"""Kinds of values that the known keys of config.yaml take, asked before one is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from streamhub_orm.errors import ConfigFileError
from streamhub_orm.settings.app_config import kind_of
from streamhub_orm.settings.core_settings import CHOICES, known_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEIGHTS: Final = (144, 4320)
_RENDITIONS: Final = ("transcoding", "vod_renditions")


def require_fitting(path: Path, app: str, changes: Mapping[str, Any]) -> None:
    """Raise `ConfigFileError` for a value of another kind than the core's own default has.

    Keys that the core does not know take any value. The name of the app cannot be changed.
    """
    if changes.get("name", app) != app:
        _refuse(path, ("name",), "another name", f"{app!r}: its folder has this name")
    _require_kinds(path, (), known_settings(app), changes)


def _require_kinds(
    path: Path, keys: tuple[str, ...], known: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    for key, value in changes.items():
        at = (*keys, key)
        if key not in known:
            continue
        if type(value) is not type(known[key]):
            _refuse(path, at, kind_of(value), kind_of(known[key]))
        if isinstance(value, dict):
            _require_kinds(path, at, known[key], value)
        choices = CHOICES.get(at)
        if choices is not None and value not in choices:
            _refuse(path, at, "another value", "one of " + ", ".join(map(str, choices)))
        if at == _RENDITIONS and not all(map(_is_rendition, value)):
            lowest, highest = _HEIGHTS
            expected = f"a list of height ({lowest} to {highest}) and bitrate_kbps (over 0)"
            _refuse(path, at, "another list", expected)


def _is_rendition(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    height, bitrate = value.get("height"), value.get("bitrate_kbps")
    lowest, highest = _HEIGHTS
    return (
        type(height) is int and lowest <= height <= highest and type(bitrate) is int and bitrate > 0
    )


def _refuse(path: Path, keys: tuple[str, ...], found: str, expected: str) -> NoReturn:
    todo = "Nothing was changed; give another value."
    raise ConfigFileError(path, f"{found} for {'.'.join(keys)}", expected, todo=todo)
