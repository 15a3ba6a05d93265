"""URLs of restream targets: presets, the masked form, and secrets kept out of messages."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from streamhub_orm.errors import HiddenValueError, StoredValueError

__all__ = ["PRESETS", "mask_url", "target_url", "without_secrets"]

PRESETS: Final = {
    "youtube": "rtmp://a.rtmp.youtube.com/live2",
    "twitch": "rtmp://live.twitch.tv/app",
    "facebook": "rtmps://live-api-s.facebook.com:443/rtmp",
}
"""Where a platform takes streams; `/` and the stream key follow."""

_HIDDEN: Final = "***"
_CUT: Final = "…"
_SHOWN_OF_KEY: Final = 4
_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<credentials>[^/?#@\\]*@)?"
    r"(?P<address>(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)"
    r"(?P<path>/[^?#@]*)?(?P<rest>[?#][^@]*)?",
    re.ASCII | re.IGNORECASE,
)
_BREAKS_KEY: Final = re.compile(r"[\s/]")
_BETWEEN_PARTS: Final = re.compile(r"[/?#&=;:@,\s]+")
_SHORTEST_SECRET: Final = 6
"""A shorter part of a URL, such as `live`, is no key, but may well be a word of a message."""


def target_url(platform: str, url: str | None, key: str | None) -> str:
    """Return the full URL of a target: `url` or the platform's, and the key behind it.

    Raises `StoredValueError` where neither says where, and `HiddenValueError` for a key with a
    space or a slash, and for a platform without a key.
    """
    base = PRESETS.get(platform) if url is None else url
    if base is None:
        expected = f"a URL, or one of {', '.join(PRESETS)} as the platform"
        raise StoredValueError(expected, platform)
    if key is None and url is not None:
        return base
    if not key or _BREAKS_KEY.search(key):
        expected = "a stream key without spaces and slashes"
        raise HiddenValueError(expected, "none" if not key else f"{len(key)} characters")
    return f"{base}/{key}"


def mask_url(url: str) -> str:
    """Return the URL as it may be shown: the last segment of its path cut to 4 characters and `…`.

    Only `…` is left of a segment of 4 or fewer; without one the URL stays as it is. So far as in
    the Node core. Credentials, a query and a fragment are hidden too, since they may be, or hold, a
    key; and so is as a whole what is not plainly a URL with a host.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return _CUT
    folder, _, last = (match["path"] or "").rpartition("/")
    if last:
        last = f"/{last[:_SHOWN_OF_KEY] if len(last) > _SHOWN_OF_KEY else ''}{_CUT}"
    elif match["path"]:
        last = "/"
    credentials = f"{_CUT}@" if match["credentials"] else ""
    rest = f"{match['rest'][0]}{_CUT}" if match["rest"] else ""
    return f"{match['scheme']}://{credentials}{match['address']}{folder}{last}{rest}"


def without_secrets(text: str, url: str) -> str:
    """Return a message in which the URL, and what `mask_url` hides of it, is hidden.

    Media servers and encoders like to repeat the URL in their errors, whole or in part.
    """
    shown = _BETWEEN_PARTS.split(mask_url(url))
    parts = {part for part in _BETWEEN_PARTS.split(url) if part not in shown}
    parts |= {unquote(part) for part in parts}
    secrets = [url, *(part for part in parts if len(part) >= _SHORTEST_SECRET)]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text
