"""Meaning of an app's config.yaml: the keys of a new one, and what the Node core reads in any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.settings.app_config import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamhub_orm.settings.app_config import AppConfig

DEFAULT_REGION: Final = "us-east-1"
DEFAULT_ENDPOINT: Final = "https://s3.us-east-1.wasabisys.com"
TRANSCODING: Final = "transcoding"
CHOICES: Final[Mapping[tuple[str, ...], tuple[object, ...]]] = {
    ("recording", "mode"): ("room-composite", "participant"),
    ("recording", "split_minutes"): (0, 15, 30, 60, 90, 120),
    ("recording", "snapshot_seconds"): (0, 1, 30, 60, 120, 360),
    (TRANSCODING, "encoding"): ("h264", "h264+vp8"),
}
"""Keys that take only some values."""
_ACT_AS_0: Final = ("split_minutes", "snapshot_seconds")
_WS_INGEST: Final = {"enabled": True, "max_cameras": 0, "max_fps": 15, "max_frame_kb": 256}
"""Not written for a new app; the core reads it so where it is absent. 0 cameras: no cap."""
_LIVE: Final = "live"
HIDDEN: Final = "(hidden)"
_SECRET: Final = re.compile(r"(secret|password|passwd|token|key)$", re.IGNORECASE)
_PASSWORD_OF_URL: Final = re.compile(r"(//[^/@\s:]*:)[^/@\s]*(@)")


def slug_of(app: str) -> str:
    """Return how the Node core writes an app's name in the names of its secrets."""
    return re.sub(r"[^A-Z0-9]+", "_", app.upper())


def new_app_settings(app: str) -> dict[str, Any]:
    """Return the settings of a new app: the core's keys, in the core's order."""
    slug = slug_of(app)
    return {
        "name": app,
        "display_name": app.title() if app == _LIVE else app,
        "room_prefix": app.lower(),
        "recording": {
            "enabled": True,
            "mode": "room-composite",
            "layout": "grid",
            "local_dir": "recordings",
            "delete_local_after_upload": True,
            "split_minutes": 0,
            "snapshot_seconds": 0,
        },
        "s3": {
            "provider": "wasabi",
            "bucket": "",
            "region": DEFAULT_REGION,
            "endpoint": DEFAULT_ENDPOINT,
            "force_path_style": False,
            "prefix": f"streamhub/{app}",
            "public_url": "",
            "access_key_env": f"APP_{slug}_S3_KEY",
            "secret_key_env": f"APP_{slug}_S3_SECRET",
        },
        "webrtc": {
            "adaptive": True,
            "layers": [
                {"name": "high", "height": 720},
                {"name": "med", "height": 480},
                {"name": "low", "height": 240},
            ],
        },
        "rtmp": {"enabled": True, "transcode": True},
        TRANSCODING: {
            "enabled": False,
            "encoding": "h264",
            "vod_adaptive": False,
            "vod_renditions": [],
        },
        "callbacks": {"url": "", "secret": ""},
        "mqtt": {
            "enabled": False,
            "url": "",
            "username": "",
            "password_env": f"APP_{slug}_MQTT_PASSWORD",
            "topic_prefix": f"streamhub/{app}",
            "qos": 0,
            "tls": False,
            "events": ["all"],
            "logs": {"enabled": False, "level": "info"},
        },
        "latency_alert": {
            "enabled": False,
            "threshold_ms": 1000,
            "cooldown_seconds": 60,
            "interval_seconds": 10,
        },
        "features": {
            "rtmp_password": False,
            "viewer_counter": True,
            "chat": False,
            "reactions": False,
            "hidden_qc": True,
            "adaptive_player": True,
            "public_playback": True,
        },
    }


def known_settings(app: str) -> dict[str, Any]:
    """Return every key that the core reads, with the value that it has where it is absent."""
    known = new_app_settings(app)
    known["features"]["ws_ingest"] = dict(_WS_INGEST)
    return known


def effective_settings(config: AppConfig, app: str) -> dict[str, Any]:
    """Return the settings of an app as the core reads them: the file laid over the defaults.

    They are laid key by key inside each block, and unknown keys and blocks are there as well. A
    null stays, but in `webrtc`, where the default counts, and so it does for empty layers and
    events. An app without a block `transcoding` is of the time before it: its `enabled` is
    `rtmp.transcode`. Raises `ConfigFileError` with the line for a block that is no mapping.
    """
    known = known_settings(app)
    given = {key: value for key, value in config.document.items() if value is not None}
    read = {**known, **given}
    for block, defaults in known.items():
        if isinstance(defaults, dict):
            read[block] = _laid_over(defaults, config, block)
    webrtc, defaults = read["webrtc"], known["webrtc"]
    read["webrtc"] = {key: defaults.get(key) if it is None else it for key, it in webrtc.items()}
    for block, key in (("webrtc", "layers"), ("mqtt", "events")):
        read[block][key] = read[block][key] or known[block][key]
    for key in _ACT_AS_0:
        value = read["recording"][key]
        is_taken = not isinstance(value, bool) and value in CHOICES["recording", key]
        read["recording"][key] = value if is_taken else 0
    if TRANSCODING not in given:
        read[TRANSCODING]["enabled"] = read["rtmp"]["transcode"]
    return read


def without_secrets(value: Any, key: object = "") -> Any:  # noqa: ANN401 - any value of YAML
    """Return settings as they may be shown: without texts under a name such as `secret`.

    A name that ends with `_env` is the name of a secret. Of a URL, the password is hidden.
    """
    if isinstance(value, dict):
        return {name: without_secrets(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each, key) for each in value]
    if isinstance(value, str):
        value = _PASSWORD_OF_URL.sub(rf"\1{HIDDEN}\2", value)
    return HIDDEN if value and _SECRET.search(str(key)) else value


def shown_names(config: AppConfig, app: str) -> tuple[str, str]:
    """Return the display name and the room prefix of an app, which its row in `apps` has as well.

    Raises `ConfigFileError` for one that is no text.
    """
    names, known = [], new_app_settings(app)
    for key in ("display_name", "room_prefix"):
        value = config.document.get(key)
        value = known[key] if value is None else value
        if not isinstance(value, str):
            found, expected = f"{kind_of(value)} as {key}", "a text"
            raise config.fault(found, expected, key)
        names.append(value)
    return names[0], names[1]


def _laid_over(defaults: dict[str, Any], config: AppConfig, *keys: str) -> dict[Any, Any]:
    laid = {**defaults, **config.section(*keys)}
    for key, value in defaults.items():
        if isinstance(value, dict):
            laid[key] = _laid_over(value, config, *keys, key)
    return laid


def merged(document: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a document with changes in it: mappings are merged, all else is replaced."""
    result = dict(document)
    for key, value in changes.items():
        held = result.get(key)
        both = isinstance(value, dict) and isinstance(held, dict | None)
        result[key] = merged(held or {}, value) if both else value
    return result
