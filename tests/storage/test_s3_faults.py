"""An S3 store that refuses, vanishes, hangs, cuts or damages: a clear error, nothing half-done."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    ChecksumMismatchError,
    MissingBucketError,
    ObjectExistsError,
    StorageError,
    StoreDeniedError,
    StoreFaultError,
    StoreUnreachableError,
)
from streamhub_orm.storage import open_s3_store
from streamhub_orm.storage.s3 import S3Store
from streamhub_orm.testing.seaweedfs import SECRET_KEY, start_seaweedfs
from tests.support.object_stores.proxy import Faults, proxy_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.settings import S3Settings

BIG = 24 * 1024 * 1024
"""Three parts of an upload."""


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(b"recording " * (BIG // 10))
    return path


@contextmanager
def store_behind(settings: S3Settings, faults: Faults) -> Iterator[S3Store]:
    """Open a store whose every byte passes a proxy that makes these faults."""
    assert settings.endpoint is not None
    with (
        proxy_before(settings.endpoint, faults) as proxy,
        S3Store(replace(settings, endpoint=proxy.endpoint), read_seconds=2) as store,
    ):
        yield store


def keys_of(store: S3Store) -> list[str]:
    return [it.key for it in store.iter_objects()]


def put_for_ever(store: S3Store, path: Path) -> None:
    for number in itertools.count():
        store.put(path, f"big-{number}")


def every_call(store: S3Store, tmp_path: Path) -> dict[str, StorageError]:
    """Make each call that asks the store, and return the error that it ends with."""
    (tmp_path / "source").write_bytes(b"x")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put(tmp_path / "source", "k"),
        "put new": lambda: store.put(tmp_path / "source", "k", no_clobber=True),
        "get": lambda: store.get("k", tmp_path / "target"),
        "head": lambda: store.head("k"),
        "list": lambda: list(store.iter_objects()),
        "delete": lambda: store.delete("k"),
    }
    errors = {}
    for name, call in calls.items():
        with pytest.raises(StorageError) as caught:
            call()
        errors[name] = caught.value
    assert not (tmp_path / "target").exists()
    return errors


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_keys_are_named_as_such_by_every_call(
    s3_settings: S3Settings, tmp_path: Path, wrong: str
) -> None:
    """The error names the bucket and the refusal, and neither of the keys."""
    keys = {"access_key": s3_settings.access_key, "secret_key": s3_settings.secret_key}
    keys[wrong] = "made-up-credential"
    with open_s3_store(replace(s3_settings, **keys)) as store:  # type: ignore[arg-type]
        errors = every_call(store, tmp_path)
        failed = store.delete_many(["k", "l"])
    for error in errors.values():
        assert isinstance(error, StoreDeniedError)
        assert s3_settings.bucket in str(error)
        assert "made-up" not in str(error)
        assert SECRET_KEY not in str(error)
    assert set(failed) == {"k", "l"}


def test_missing_bucket_is_named_by_every_call(s3_settings: S3Settings, tmp_path: Path) -> None:
    """Also by those that S3 answers with a bare 404, and it is not created."""
    with open_s3_store(replace(s3_settings, bucket="no-such-bucket")) as store:
        errors = every_call(store, tmp_path)
        failed = store.delete_many(["k"])
        again = every_call(store, tmp_path)
    for error in (*errors.values(), *again.values()):
        assert isinstance(error, MissingBucketError)
        assert str(error).startswith(f"{s3_settings.endpoint}/no-such-bucket: found no such bucket")
    assert "no such bucket" in str(failed["k"])


def test_repr_of_a_store_and_its_settings_hides_the_keys(s3_settings: S3Settings) -> None:
    with open_s3_store(s3_settings) as store:
        shown = repr(store) + repr(store.settings) + str(vars(store))
    assert s3_settings.bucket in shown
    assert s3_settings.access_key not in shown
    assert s3_settings.secret_key not in shown


def test_dead_store_is_an_error_in_seconds(s3_settings: S3Settings, tmp_path: Path) -> None:
    """Nothing listens: each call ends after its retries."""
    with open_s3_store(replace(s3_settings, endpoint="http://127.0.0.1:9")) as store:
        began = time.monotonic()
        errors = every_call(store, tmp_path)
        assert time.monotonic() - began < 10 * len(errors)
    assert {type(error) for error in errors.values()} == {StoreUnreachableError}


def test_hanging_store_is_an_error_in_seconds(s3_settings: S3Settings) -> None:
    """It takes the connection and says nothing."""
    with store_behind(s3_settings, Faults(swallow=True)) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnreachableError, match="no answer in time"):
            store.head("k")
        assert time.monotonic() - began < 15


def test_delete_many_on_a_dead_store_asks_once_and_returns_every_key(
    s3_settings: S3Settings,
) -> None:
    """5,000 keys are five requests; after the first has no answer the others are not sent."""
    keys = [f"k{number}" for number in range(5000)]
    with open_s3_store(replace(s3_settings, endpoint="http://127.0.0.1:9")) as store:
        began = time.monotonic()
        failed = store.delete_many(keys)
        assert time.monotonic() - began < 10
    assert list(failed) == keys
    assert all("no connection" in str(reason) for reason in failed.values())


def test_delete_many_of_more_than_one_request_deletes_all(
    s3_store: S3Store, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    for number in (0, 999, 1000, 2500):
        s3_store.put(tmp_path / "a", f"k{number}")
    assert s3_store.delete_many(f"k{number}" for number in range(2501)) == {}
    assert keys_of(s3_store) == []


@pytest.mark.parametrize("no_clobber", [False, True])
def test_store_that_vanishes_during_an_upload_leaves_no_object(
    s3_settings: S3Settings, s3_store: S3Store, big_file: Path, *, no_clobber: bool
) -> None:
    """After a part and a half every connection breaks, and no new one is answered."""
    with store_behind(s3_settings, Faults(vanish_after_upload=BIG // 2)) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnreachableError) as caught:
            store.put(big_file, "big", no_clobber=no_clobber)
        assert time.monotonic() - began < 40
    assert caught.value.key == "big"
    assert keys_of(s3_store) == []
    assert s3_store.put(big_file, "big", no_clobber=True).size_bytes == big_file.stat().st_size


def test_store_that_is_killed_during_an_upload_is_an_error_in_seconds(
    tmp_path: Path, s3_settings: S3Settings, big_file: Path
) -> None:
    """A server of its own is killed while parts arrive; the caller is told in seconds."""
    with start_seaweedfs(tmp_path / "second") as server:
        settings = replace(s3_settings, endpoint=server.endpoint)
        with S3Store(settings, read_seconds=2) as store:
            store._client.create_bucket(Bucket=settings.bucket)
            killer = threading.Timer(0.15, server.kill)
            killer.start()
            began = time.monotonic()
            with pytest.raises((StoreUnreachableError, StoreFaultError)):
                put_for_ever(store, big_file)
            killer.join()
            assert time.monotonic() - began < 40


def test_download_that_is_cut_leaves_the_old_file(
    s3_settings: S3Settings, s3_store: S3Store, big_file: Path, tmp_path: Path
) -> None:
    """Neither half an object nor a temporary file; the next try works."""
    s3_store.put(big_file, "big")
    target = tmp_path / "there" / "target"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with store_behind(s3_settings, Faults(cut_after_download=BIG // 2)) as store:
        with pytest.raises((StoreUnreachableError, ChecksumMismatchError), match="big: found"):
            store.get("big", target)
        assert [it.name for it in target.parent.iterdir()] == ["target"]
        assert target.read_bytes() == b"old"
        store.get("big", target)
    assert target.read_bytes() == big_file.read_bytes()


def test_download_of_damaged_bytes_is_refused(
    s3_settings: S3Settings, s3_store: S3Store, big_file: Path, tmp_path: Path
) -> None:
    """One bit in the middle of a recording that came in several parts."""
    s3_store.put(big_file, "big")
    with (
        store_behind(s3_settings, Faults(flip_in_download=BIG // 2)) as store,
        pytest.raises(ChecksumMismatchError, match="SHA-256"),
    ):
        store.get("big", tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("size", [100_000, BIG])
def test_upload_that_arrives_damaged_is_refused_by_the_store(
    s3_settings: S3Settings, s3_store: S3Store, tmp_path: Path, size: int
) -> None:
    """One bit, in an object of one request and in a part of a larger one."""
    path = tmp_path / "source"
    path.write_bytes(b"x" * size)
    with (
        store_behind(s3_settings, Faults(flip_in_upload=50_000)) as store,
        pytest.raises(ChecksumMismatchError, match="BadDigest"),
    ):
        store.put(path, "k")
    assert keys_of(s3_store) == []


def test_new_object_whose_first_answer_was_lost_is_not_taken_for_anothers(
    s3_settings: S3Settings, s3_store: S3Store, tmp_path: Path
) -> None:
    """The retry meets what the first try stored."""
    path = tmp_path / "source"
    path.write_bytes(b"x" * 100_000)
    with store_behind(s3_settings, Faults(lose_answer_after_upload=100_000)) as store:
        stored = store.put(path, "k", no_clobber=True)
        assert store.put(path, "l", no_clobber=True).key == "l"
        with pytest.raises(ObjectExistsError):
            store.put(path, "k", no_clobber=True)
    assert s3_store.head("k") == stored
