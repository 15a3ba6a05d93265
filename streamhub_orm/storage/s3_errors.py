"""Translation of botocore's errors into this package's, without a credential in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from streamhub_orm.errors import (
    ChecksumMismatchError,
    ClockSkewError,
    MissingBucketError,
    MissingObjectError,
    ObjectExistsError,
    StorageError,
    StoreDeniedError,
    StoreFaultError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

UNLIKE_S3: Final = (
    ResponseParserError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)
"""What botocore, and whoever reads its dictionaries, meet in an answer that is not of S3."""
_SHOWN: Final = 200
"""Letters of an odd answer that a message shows."""
_REDIRECTS: Final = range(300, 400)
_EXISTS: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_DAMAGED: Final = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"}
_SKEWED: Final = "RequestTimeTooSkewed"
_MOST_SKEW: Final = timedelta(minutes=15)
"""How far from its own a store lets the time of a request be."""
_DENIED_STATUS: Final = {401, 403}
_CONNECTION_FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ReadTimeoutError, "no answer in time"),
    (ConnectTimeoutError, "no connection in time"),
    (ProxyConnectionError, "a proxy that cannot be reached"),
    (SSLError, "a TLS connection that could not be made"),
    (EndpointConnectionError, "no connection"),
    (IncompleteReadError, "a connection that broke"),
    (HTTPClientError, "a connection that broke"),
    (BotoConnectionError, "no connection"),
)


def from_client_error(  # noqa: PLR0911 - one for each kind of answer
    error: ClientError, store: str, key: str
) -> StorageError:
    """Return our error for an answer that is a refusal."""
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return MissingBucketError(store)
    if code in {"NoSuchKey", "404"}:
        return MissingObjectError(store, key)
    if code in _EXISTS:
        return ObjectExistsError(store, key)
    if code in _DAMAGED:
        expected = "the bytes that were sent"
        return ChecksumMismatchError(store, key, f"{code} on arrival", expected, "Try again.")
    if code == _SKEWED or (status in _DENIED_STATUS and _is_skewed(error)):
        return ClockSkewError(store, key)
    if status in _DENIED_STATUS:
        return StoreDeniedError(store, key, code)
    return StoreFaultError(store, key, _told(error, status, code))


def _is_skewed(error: ClientError) -> bool:
    """Tell whether the clocks differ; the answer to a HEAD request has a date, and no reason."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = parsedate_to_datetime(headers["date"])
        return abs(theirs - datetime.now(UTC)) > _MOST_SKEW
    except (KeyError, ValueError, TypeError):
        return False


def _told(error: ClientError, status: int, code: str) -> str:
    """Return what the store answered, and where it points to."""
    if status in _REDIRECTS:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        target = headers.get("location", "another place")[:_SHOWN]
        return f"a redirect ({status}) to {target}, which is not followed"
    message = str(error.response.get("Error", {}).get("Message", ""))[:_SHOWN]
    return f"the answer {status} {code}: {message}"


def from_botocore(error: BotoCoreError, store: str, key: str) -> StorageError:
    """Return our error where there was no answer, or an unusable one."""
    if isinstance(error, FlexibleChecksumError):
        expected = "bytes of the checksum that the store gives"
        return ChecksumMismatchError(store, key, "other bytes", expected, "Try again.")
    for kind, words in _CONNECTION_FAULTS:
        if isinstance(error, kind):
            return StoreUnreachableError(store, key, words)
    return StoreFaultError(store, key, f"{type(error).__name__}: {error}")


def from_odd_answer(error: Exception, store: str, key: str) -> StorageError:
    """Return our error for an answer that is none of S3: a page, or without what S3 says."""
    told = f"without {error}" if isinstance(error, KeyError) else f"({str(error)[:_SHOWN]})"
    return StoreFaultError(store, key, f"an answer that is none of S3, {told}")
