"""Keys and URLs of objects: valid keys, the rule of the prefix, the public URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from streamhub_orm.errors import ObjectKeyError

if TYPE_CHECKING:
    from streamhub_orm.settings import S3Settings

_MAX_BYTES: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN: Final = "/~!*'()"
"""What JavaScript's encodeURIComponent, and so the Node core, leaves as it is; and the slash."""
_MAX_PRESIGNED_SECONDS: Final = 7 * 24 * 3600


def object_key(prefix: str, key: str) -> str:
    """Return prefix + '/' + key, or the key as it is where it already lies below the prefix.

    The Node core's rule; slashes at the front of the key are cut.
    """
    key = key.lstrip("/")
    is_whole = not prefix or key == prefix or key.startswith(f"{prefix}/")
    return key if is_whole else f"{prefix}/{key}"


def require_key(store: str, prefix: str, key: str) -> str:
    """Return the whole key of an object; raises `ObjectKeyError` if it is invalid."""
    reason = _fault(key.lstrip("/")) or _fault(object_key(prefix, key))
    if reason is not None:
        raise ObjectKeyError(store, key, reason)
    return object_key(prefix, key)


def _fault(key: str) -> str | None:
    if not key:
        return "empty"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "not Unicode"
    faults = {
        f"{size} bytes": size > _MAX_BYTES,
        "a control character": _CONTROL.search(key),
        "a segment '.' or '..'": {".", ".."} & set(key.split("/")),
    }
    return next((reason for reason, is_there in faults.items() if is_there), None)


def require_seconds(seconds: int) -> int:
    """Return the lifetime of a presigned URL; raises `ValueError` outside of S3's limits."""
    if not 1 <= seconds <= _MAX_PRESIGNED_SECONDS:
        message = f"expected 1 to {_MAX_PRESIGNED_SECONDS} seconds, found {seconds}"
        raise ValueError(message)
    return seconds


def object_url(settings: S3Settings, key: str) -> str:
    """Return the public URL of a whole key: below `public_url`, else in the endpoint's style."""
    path = quote(key, safe=_PLAIN)
    if settings.public_url is not None:
        return f"{settings.public_url}/{path}"
    endpoint = settings.endpoint or f"https://s3.{settings.region}.amazonaws.com"
    if settings.force_path_style:
        return f"{endpoint}/{settings.bucket}/{path}"
    parts = urlsplit(endpoint)
    host = parts._replace(netloc=f"{settings.bucket}.{parts.netloc}")
    return f"{host.geturl().rstrip('/')}/{path}"
