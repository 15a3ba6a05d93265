"""Presets of the Node core: changes of config.yaml for one purpose each.

None of them touches `s3`, `callbacks`, `room_prefix` or a name.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from streamhub_orm.errors import UnknownPresetError

_BITRATES_KBPS: Final = {1080: 5000, 720: 2800, 480: 1400, 360: 800}
_ADAPTIVE: Final = {"webrtc": {"adaptive": True}, "features": {"adaptive_player": True}}


def _ladder(*heights: int) -> dict[str, Any]:
    renditions = [{"height": it, "bitrate_kbps": _BITRATES_KBPS[it]} for it in heights]
    return {"enabled": True, "vod_adaptive": True, "vod_renditions": renditions}


PRESETS: Final[dict[str, dict[str, Any]]] = {
    "low-latency": {
        **_ADAPTIVE,
        "rtmp": {"transcode": False},
        "transcoding": {"enabled": False},
        "distribution": {"mode": "edge"},
        "hls": {"segment_seconds": 2, "list_size": 3},
    },
    "high-quality-recording": {
        **_ADAPTIVE,
        "recording": {"enabled": True},
        "rtmp": {"transcode": True},
        "transcoding": _ladder(1080, 720, 480),
    },
    "mass-audience-HLS": {
        **_ADAPTIVE,
        "recording": {"enabled": True},
        "transcoding": _ladder(720, 480, 360),
        "distribution": {"mode": "cdn"},
        "hls": {"segment_seconds": 4, "list_size": 10},
    },
}


def preset_named(name: str) -> dict[str, Any]:
    """Return the changes of a preset; raises `UnknownPresetError`."""
    if name not in PRESETS:
        raise UnknownPresetError(name, list(PRESETS))
    return deepcopy(PRESETS[name])
