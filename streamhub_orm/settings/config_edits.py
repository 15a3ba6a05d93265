"""Changes of an app's config.yaml: by keys, by a preset, as a whole text, and back again.

Each exchanges the file in one step and keeps the one before as `config.yaml.bak.<UTC>`, under the
Node core's name for it. Two who change the same file at once must be ordered by their callers, as
`streamhub_orm.services.app_settings` does.
"""

from __future__ import annotations

import io
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.durable_files import (
    file_mode,
    publish,
    sync,
    temporary_beside,
    write_whole,
)
from streamhub_orm.errors import ConfigFileError, UnknownConfigBackupError
from streamhub_orm.settings.app_config import (
    AppConfig,
    dump_document,
    parse_document,
    read_bytes,
    text_of,
)
from streamhub_orm.settings.core_settings import (
    TRANSCODING,
    effective_settings,
    merged,
    new_app_settings,
    shown_names,
)
from streamhub_orm.settings.presets import preset_named
from streamhub_orm.settings.value_rules import require_fitting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

KEPT_BACKUPS: Final = 20
_BACKUP: Final = re.compile(r"config\.yaml\.bak\.\d{8}T\d{9}Z", re.ASCII)
_MOST_CHARACTERS: Final = 100_000
_LAST_OF_ONE_UNIT: Final = "\uffff"
_NO_WRAPPING: Final = 1 << 20
_WHOLE_BLOCKS: Final = ("s3", "recording")
_IN_CLEAR: Final = (("s3", "key"), ("s3", "secret"), ("mqtt", "password"))
_UNCHANGED: Final = "Nothing was changed; correct what was given."


@dataclass(frozen=True)
class Edited:
    """The outcome of a change of config.yaml."""

    changed: bool
    """False where the file had all of it already."""
    backup: Path | None
    """The file before; None where there was none, or nothing was to be changed."""
    warnings: tuple[str, ...] = ()
    """What the Node core warns of as well."""


def change_app_config(path: Path, app: str, changes: Mapping[str, Any], *, now: datetime) -> Edited:
    """Change keys of config.yaml: mappings are merged, lists and all else replaced.

    All other keys stay, known to this package or not, and so do comments where the file can be
    written anew with them. A file that is not there is made with the core's defaults first. As in
    the core, the provider `aws` without an endpoint clears the endpoint. Raises `ConfigFileError`
    for a file that is no YAML, a block of it that is no mapping, and a value of another kind than
    the key takes; nothing is changed then.
    """
    require_fitting(path, app, changes)
    found = read_bytes(path)
    content = dump_document(path, new_app_settings(app)) if found is None else found
    config = parse_document(path, content)
    _require_mappings(config, changes)
    wanted = _completed(config, app, changes)
    document = merged(config.document, wanted)
    shown_names(AppConfig(path, document), app)
    if not _are_same(document, config.document):
        changed = _with_comments(path, content, wanted, document)
        content = changed or dump_document(path, document)
    return _exchange(path, content, now, warnings_of(AppConfig(path, document)))


def apply_preset(path: Path, app: str, preset: str, *, now: datetime) -> Edited:
    """Change config.yaml as a preset of the Node core says; raises `UnknownPresetError` as well."""
    return change_app_config(path, app, preset_named(preset), now=now)


def write_app_config(path: Path, app: str, content: bytes, *, now: datetime) -> Edited:
    """Write the whole text of config.yaml, to the byte, where it keeps to the core's rules.

    It is a YAML mapping of at most 100,000 characters; `name`, if given, is the app's; `s3` and
    `recording`, if given, have a value. Unlike the core, no block that it knows may be anything
    but a mapping. Raises `ConfigFileError`; nothing is changed then.
    """
    config = parse_document(path, content, todo=_UNCHANGED)
    text = text_of(content)
    characters = len(text) + sum(it > _LAST_OF_ONE_UNIT for it in text)  # as JavaScript counts
    if characters > _MOST_CHARACTERS:
        found, expected = f"{characters} characters", f"at most {_MOST_CHARACTERS}"
        raise ConfigFileError(path, found, expected, todo=_UNCHANGED)
    if config.is_empty:
        raise ConfigFileError(path, "no settings", "a mapping of settings", todo=_UNCHANGED)
    name = config.document.get("name")
    if name is not None and name != app:
        found, expected = "the name of another app", f"{app!r} or no name"
        raise config.fault(found, expected, "name")
    shown_names(config, app)
    effective_settings(config, app)
    for block in _WHOLE_BLOCKS:
        if block in config.document and config.document[block] is None:
            found, expected = f"{block} without a value", "a mapping"
            raise config.fault(found, expected, block)
    return _exchange(path, content, now, warnings_of(config))


def revert_app_config(path: Path, app: str, backup: str, *, now: datetime) -> Edited:
    """Write a kept file back, by the name that `list_config_backups` returns.

    Raises `UnknownConfigBackupError`, and what `write_app_config` raises.
    """
    kept = list_config_backups(path)
    if backup not in kept:
        raise UnknownConfigBackupError(path, backup, kept)
    content = read_bytes(path.with_name(backup))
    assert content is not None  # noqa: S101 - it was just listed
    return write_app_config(path, app, content, now=now)


def list_config_backups(path: Path) -> list[str]:
    """Return the names of the kept files beside config.yaml, the newest first."""
    names = (it.name for it in path.parent.iterdir()) if path.parent.is_dir() else ()
    return sorted(filter(_BACKUP.fullmatch, names), reverse=True)


def warnings_of(config: AppConfig) -> tuple[str, ...]:
    """Return what is better not in a config.yaml, and what it should have."""
    held = ((block, key, config.document.get(block)) for block, key in _IN_CLEAR)
    found = [
        f"{config.path}: {block}.{key} stands in clear in it; secrets belong into secrets.json"
        for block, key, values in held
        if isinstance(values, dict) and values.get(key)
    ]
    lacking = [] if config.document.get("room_prefix") else [f"{config.path}: no room_prefix in it"]
    return tuple(found + lacking)


def _completed(config: AppConfig, app: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes, with those that the Node core makes along with them."""
    wanted = dict(changes)
    s3 = wanted.get("s3", {})
    if s3.get("provider") == "aws" and "endpoint" not in s3:
        wanted["s3"] = {**s3, "endpoint": ""}
    if TRANSCODING in wanted and config.document.get(TRANSCODING) is None:
        # A block without `enabled` means off; an app without the block may transcode.
        enabled = effective_settings(config, app)[TRANSCODING]["enabled"]
        wanted[TRANSCODING] = {"enabled": enabled, **wanted[TRANSCODING]}
    return wanted


def _require_mappings(config: AppConfig, changes: Mapping[str, Any], *keys: str) -> None:
    """Raise where something else stands in the file that a mapping would be merged into."""
    for key, value in changes.items():
        if isinstance(value, dict):
            config.section(*keys, key)
            _require_mappings(config, value, *keys, key)


def _with_comments(
    path: Path, content: bytes, changes: Mapping[str, Any], expected: dict[Any, Any]
) -> bytes | None:
    """Return the file with the changes and its comments; None where it would mean another thing.

    Whoever writes it, what is read from it again decides: an anchor that two blocks share, or a
    key that stands in it twice, cannot be changed in the text as it is.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    text, yaml = io.StringIO(), YAML()
    yaml.preserve_quotes, yaml.width = True, _NO_WRAPPING
    try:
        document = yaml.load(text_of(content))
        _merge_into(document, changes)
        yaml.dump(document, text)
        changed = text.getvalue().encode()
        return changed if _are_same(parse_document(path, changed).document, expected) else None
    except (YAMLError, ConfigFileError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _are_same(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Compare documents by what stands in them: to Python 1 is True, and .nan is no .nan."""
    return repr(one) == repr(other)


def _merge_into(document: MutableMapping[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), MutableMapping):
            _merge_into(document[key], value)
        else:
            document[key] = _quoted(value)


def _quoted(value: object) -> object:
    """Return a value whose texts are written with quotes, so that every YAML reads them alike."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # noqa: PLC0415

    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def _exchange(path: Path, content: bytes, now: datetime, warnings: tuple[str, ...] = ()) -> Edited:
    before = read_bytes(path)
    if before == content:
        return Edited(changed=False, backup=None, warnings=warnings)
    mode = mode_of_config(path)
    backup = None if before is None else _keep(path, before, now, mode)
    write_whole(path, content, mode=mode)
    if backup is not None:
        _prune(path, backup)
    return Edited(changed=True, backup=backup, warnings=warnings)


def mode_of_config(path: Path) -> int:
    """Return the mode of the file, or of one that is yet to be made, as its folder has it."""
    return file_mode(path) if path.exists() else file_mode(path.parent) & 0o644


def _keep(path: Path, content: bytes, now: datetime, mode: int) -> Path:
    while True:
        stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z"
        backup = path.with_name(f"{path.name}.bak.{stamp}")
        with temporary_beside(backup) as temporary:
            temporary.write_bytes(content)
            try:
                publish(temporary, backup, mode=mode)
            except FileExistsError:  # two changes within a millisecond
                now += timedelta(milliseconds=1)
            else:
                return backup


def _prune(path: Path, newest: Path) -> None:
    """Remove all but the last names; the one just made stays, whatever a clock has said before."""
    old = [it for it in list_config_backups(path)[KEPT_BACKUPS:] if it != newest.name]
    for name in old:
        path.with_name(name).unlink(missing_ok=True)
    if old:
        sync(path.parent)
