"""What of a URL that holds a secret may be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"

_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<credentials>[^/?#@\\]*@)?"
    r"(?P<address>(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)(?P<rest>[/?#][^@]*)?",
    re.ASCII | re.IGNORECASE,
)
_BETWEEN_PARTS: Final = re.compile(r"[/?#&=;:@,\s]+")
_SHORTEST_SECRET: Final = 6
"""A shorter part of a URL, such as `live`, is no key, but may well be a word of a message."""


def mask_url(url: str) -> str:
    """Return scheme, host and port; everything else may be, or hold, a stream key and is hidden.

    `rtmp://live.example.com:1935/app/key?token=x` becomes `rtmp://live.example.com:1935/***`. What
    is not plainly a URL with a host is hidden as a whole.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return HIDDEN
    shown = f"{match['scheme']}://{match['address']}"
    hides = match["credentials"] or (match["rest"] or "").strip("/")
    return f"{shown}/{HIDDEN}" if hides else shown


def without_secrets(text: str, url: str) -> str:
    """Return a message in which the URL, and what `mask_url` hides of it, is hidden.

    Media servers and encoders like to repeat the URL in their errors, whole or in part.
    """
    shown = _BETWEEN_PARTS.split(mask_url(url))
    parts = {part for part in _BETWEEN_PARTS.split(url) if part not in shown}
    parts |= {unquote(part) for part in parts}
    secrets = [url, *(part for part in parts if len(part) >= _SHORTEST_SECRET)]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
