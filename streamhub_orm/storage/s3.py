"""S3 store, the only module that imports boto3."""

from __future__ import annotations

import os
import re
import ssl
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.httpsession
import botocore.loaders
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from streamhub_orm.errors import (
    MissingBucketError,
    MissingObjectError,
    ObjectExistsError,
    ObjectKeyError,
    StorageError,
    StoreFaultError,
)
from streamhub_orm.settings import S3Settings
from streamhub_orm.storage.base import BaseStore
from streamhub_orm.storage.contract import ObjectInfo
from streamhub_orm.storage.keys import object_url, require_seconds
from streamhub_orm.storage.s3_errors import (
    UNLIKE_S3,
    from_botocore,
    from_client_error,
    from_odd_answer,
)
from streamhub_orm.storage.verified import VerifiedReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from types_boto3_s3.client import S3Client

_PART_BYTES: Final = 8 * 1024 * 1024
_PARTS_IN_MEMORY: Final = 4
_MAX_PARTS: Final = 10_000
_KEYS_PER_DELETE: Final = 1000
_ATTEMPTS: Final = 3
"""Attempts at one request: the first and two retries, whose waits add up to a few seconds."""

_SHA256: Final = re.compile("[0-9a-f]{64}")


class S3Store(BaseStore):
    """Objects in one bucket. Implements ObjectStore.

    The longest that a dead store is waited for is three times `connect_seconds`, and one that
    takes the connection but does not answer three times `read_seconds`, plus a few seconds.
    """

    def __init__(
        self, settings: S3Settings, *, connect_seconds: float = 3.0, read_seconds: float = 15.0
    ) -> None:
        """Make the client; nothing is sent yet."""
        endpoint = settings.endpoint or f"s3:{settings.region}"
        super().__init__(f"{endpoint}/{settings.bucket}", settings.prefix)
        self.settings = settings
        self._config = Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path" if settings.force_path_style else "virtual"},
            signature_version="s3v4",
            ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # types-boto3 lacks it
        )
        try:
            self._client = self._make_client()
        except ValueError as error:  # an endpoint that botocore takes for no URL
            raise StoreFaultError(self.name, "", f"settings of no client ({error})") from error
        # s3transfer passes no condition on, so a client of its own adds it to what creates objects.
        self._creating_client = self._make_client()
        for operation in ("PutObject", "CompleteMultipartUpload"):
            event = f"provide-client-params.s3.{operation}"
            self._creating_client.meta.events.register(event, _only_if_absent)

    def close(self) -> None:
        """Give connections back; the store cannot be used afterwards."""
        self._client.close()
        self._creating_client.close()

    def put(
        self, path: Path, key: str, *, sha256: str | None = None, no_clobber: bool = False
    ) -> ObjectInfo:
        """Store a file; see `ObjectStore.put`."""
        key = self._whole_key(key)
        if no_clobber:
            self._require_absent(key)
        with self._source(path, key, sha256) as reader:
            if no_clobber:
                return self._put_new(reader)
            self._upload(self._client, reader)
        return self.head(key)

    def _put_new(self, reader: VerifiedReader) -> ObjectInfo:
        """Store what the reader gives where there is no such object.

        Whose object it is then, its SHA-256 tells: an answer may be lost, and the retry meets what
        the first try stored; and a server may look at the condition first and store afterwards.
        """
        key = reader.info.key
        refused = None
        try:
            self._upload(self._creating_client, reader)
        except ObjectExistsError as error:
            refused = error
        stored = self.head(key)
        if stored.sha256 != reader.info.sha256:
            raise refused or ObjectExistsError(self.name, key)
        return stored

    def _upload(self, client: S3Client, reader: VerifiedReader) -> None:
        with self._translated(reader.info.key):
            client.upload_fileobj(
                reader,  # type: ignore[arg-type] # it reads, which is all that is asked of it
                self.settings.bucket,
                reader.info.key,
                ExtraArgs={
                    "ChecksumAlgorithm": "SHA256",  # of each part, checked by the store
                    "ContentType": "application/octet-stream",
                    "Metadata": {"sha256": reader.info.sha256},
                },
                Config=_transfer_config(reader.info.size_bytes),
            )

    @contextmanager
    def open(self, key: str) -> Iterator[VerifiedReader]:
        """Open an object; see `ObjectStore.open`."""
        key = self._whole_key(key)
        with self._translated(key):
            answer = self._client.get_object(Bucket=self.settings.bucket, Key=key)
        body = answer["Body"]

        def read(size: int) -> bytes:
            with self._translated(key):
                return bytes(body.read(size))

        try:
            with self._translated(key):
                info = _described(key, answer)
            yield VerifiedReader(read, info, self.name)
        finally:
            body.close()

    def head(self, key: str) -> ObjectInfo:
        """Describe an object; see `ObjectStore.head`."""
        key = self._whole_key(key)
        with self._translated(key):
            return _described(key, self._client.head_object(Bucket=self.settings.bucket, Key=key))

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe objects; see `ObjectStore.iter_objects`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.settings.bucket, Prefix=self._whole_prefix(prefix)
        )
        with self._translated(""):
            for page in pages:
                page["IsTruncated"]  # only a listing of S3 says so: a page of HTML lists nothing
                for it in page.get("Contents", ()):
                    etag = it["ETag"].strip('"')
                    yield ObjectInfo(it["Key"], it["Size"], etag, it["LastModified"])

    def server_time(self) -> datetime:
        """Return the time by the clock of the store, to the second; raises a `StorageError`."""
        with self._translated(""):
            answer = self._client.head_bucket(Bucket=self.settings.bucket)
            return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def delete(self, key: str) -> None:
        """Delete an object; see `ObjectStore.delete`."""
        key = self._whole_key(key)
        with self._translated(key):
            self._client.delete_object(Bucket=self.settings.bucket, Key=key)

    def delete_many(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Delete objects, 1,000 in a request; see `ObjectStore.delete_many`."""
        failed: dict[str, StorageError] = {}
        rest = iter(keys)
        stop: StorageError | None = None
        while batch := list(islice(rest, _KEYS_PER_DELETE)):
            if stop:
                failed |= dict.fromkeys(batch, stop)
                continue
            try:
                failed |= self._delete_batch(batch)
            except StorageError as error:
                failed |= dict.fromkeys(batch, error)
                stop = error if error.meets_every_key else None
        return failed

    def _delete_batch(self, keys: list[str]) -> dict[str, StorageError]:
        failed: dict[str, StorageError] = {}
        given: dict[str, list[str]] = {}
        for key in keys:
            try:
                given.setdefault(self._whole_key(key), []).append(key)
            except ObjectKeyError as error:
                failed[key] = error
        if given:
            with self._translated(""):
                answer = self._client.delete_objects(
                    Bucket=self.settings.bucket,
                    Delete={"Objects": [{"Key": key} for key in given]},
                )
            unsaid = given.keys() - {it.get("Key") for it in answer.get("Deleted", ())}
            reasons = dict.fromkeys(unsaid, "the store did not answer that it is deleted")
            for told in answer.get("Errors", ()):
                key = told.get("Key", "")
                reasons[key] = f"{told.get('Code', 'unknown')}: {told.get('Message', '')}"
                if told.get("Code") == "NoSuchKey":
                    del reasons[key]
            for key, reason in reasons.items():
                fault = StoreFaultError(self.name, key, reason)
                failed |= dict.fromkeys(given.get(key, ()), fault)
        return failed

    def presigned_url(self, key: str, *, seconds: int = 3600) -> str:
        """Return a signed URL; see `ObjectStore.presigned_url`."""
        parameters = {"Bucket": self.settings.bucket, "Key": self._whole_key(key)}
        expires = require_seconds(seconds)
        with self._translated(key):
            return self._client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=expires
            )

    def public_url(self, key: str) -> str:
        """Return the public URL; see `object_url`."""
        return object_url(self.settings, self._whole_key(key))

    def _make_client(self) -> S3Client:
        # A session of its own: boto3's default one is no thread-safe place to make clients in.
        session = botocore.session.Session()
        session.register_component("data_loader", _loader())
        client = boto3.session.Session(botocore_session=session).client(
            "s3",
            region_name=self.settings.region,
            endpoint_url=self.settings.endpoint,
            aws_access_key_id=self.settings.access_key,
            aws_secret_access_key=self.settings.secret_key,
            config=self._config,
            verify=_authorities(),
        )
        client.meta.events.register("before-parameter-build.s3", _never_redirected)
        return client

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            found = from_client_error(error, self.name, key)
            if isinstance(found, MissingObjectError) and not self._has_bucket():
                found = MissingBucketError(self.name)
            raise found from error
        except BotoCoreError as error:
            raise from_botocore(error, self.name, key) from error
        except UNLIKE_S3 as error:
            raise from_odd_answer(error, self.name, key) from error

    def _has_bucket(self) -> bool:
        """Tell whether the object or the bucket is missing, which a HEAD request does not say."""
        try:
            self._client.head_bucket(Bucket=self.settings.bucket)
        except ClientError as error:
            return error.response.get("Error", {}).get("Code") not in {"404", "NoSuchBucket"}
        except (BotoCoreError, *UNLIKE_S3):
            return True
        return True


@cache
def _loader() -> botocore.loaders.Loader:
    """Return the reader of botocore's tables, which keeps them: a client takes 10 ms, not 60."""
    return botocore.loaders.create_loader()


def preload() -> None:
    """Read botocore's tables now: a process that becomes another user may not be able to later."""
    store = S3Store(S3Settings(bucket="none", access_key="", secret_key=""))
    store._client.get_paginator("list_objects_v2")  # noqa: SLF001 - read on first use, too
    store.close()


def _authorities() -> str | None:
    """Return the system's file of certificates where this user cannot read botocore's own."""
    own = botocore.httpsession.where()
    return None if os.access(own, os.R_OK) else ssl.get_default_verify_paths().cafile


def _never_redirected(context: dict[str, Any], **_: object) -> None:
    """Tell botocore that it has followed a redirect: keys and data are for the host that is set.

    It would ask the answering host for the bucket's region, and ask again where that redirects too.
    """
    context.setdefault("s3_redirect", {})["redirected"] = True


def _only_if_absent(params: dict[str, Any], **_: object) -> None:
    params["IfNoneMatch"] = "*"


def _transfer_config(size_bytes: int) -> TransferConfig:
    """Return how a file of this size is cut: at most 10,000 parts, few of them in memory."""
    part_bytes = max(_PART_BYTES, -(-size_bytes // _MAX_PARTS))
    config = TransferConfig(
        multipart_threshold=part_bytes,
        multipart_chunksize=part_bytes,
        max_concurrency=_PARTS_IN_MEMORY,
        preferred_transfer_client="classic",
    )
    config.max_in_memory_upload_chunks = _PARTS_IN_MEMORY
    return config


def _described(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    recorded = answer.get("Metadata", {}).get("sha256", "")
    return ObjectInfo(
        key,
        answer["ContentLength"],
        answer["ETag"].strip('"'),
        answer["LastModified"],
        recorded if _SHA256.fullmatch(recorded) else None,
    )
