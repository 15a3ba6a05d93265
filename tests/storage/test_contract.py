"""The contract of `ObjectStore`, held against a real S3 server and a local folder."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    ChecksumMismatchError,
    MissingObjectError,
    ObjectExistsError,
    ObjectKeyError,
    StorageError,
    StoreFaultError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.storage import ObjectStore

BIG_BYTES = 20 * 1024 * 1024 + 7
"""Three parts of an S3 upload."""


def write(path: Path, content: bytes = b"a recording") -> Path:
    path.write_bytes(content)
    return path


def pattern(size: int) -> bytes:
    block = hashlib.sha256(str(size).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def keys_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(it.key for it in store.iter_objects(prefix))


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as reader:
        return reader.read()


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, BIG_BYTES])
def test_put_object_comes_back_byte_for_byte(
    object_store: ObjectStore, tmp_path: Path, size: int
) -> None:
    """Empty, small, of just one part and of several parts; size and SHA-256 are recorded."""
    content = pattern(size)
    put = object_store.put(write(tmp_path / "a", content), "rec/a.mp4")
    assert (put.key, put.size_bytes) == ("rec/a.mp4", size)
    assert put.sha256 == hashlib.sha256(content).hexdigest()
    assert object_store.get("rec/a.mp4", tmp_path / "b") == put
    assert (tmp_path / "b").read_bytes() == content
    assert object_store.head("rec/a.mp4") == put


def test_put_replaces_an_object_whole(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put(write(tmp_path / "a", b"longer than the next one"), "k")
    before = object_store.head("k")
    object_store.put(write(tmp_path / "a", b"new"), "k")
    assert read(object_store, "k") == b"new"
    assert object_store.head("k").etag != before.etag


@pytest.mark.parametrize("size", [5, BIG_BYTES])
def test_put_without_clobber_keeps_what_is_there(
    object_store: ObjectStore, tmp_path: Path, size: int
) -> None:
    """For one request and for several parts."""
    object_store.put(write(tmp_path / "a", pattern(size)), "new", no_clobber=True)
    with pytest.raises(ObjectExistsError) as caught:
        object_store.put(write(tmp_path / "b", b"x" * size), "new", no_clobber=True)
    assert caught.value.key == "new"
    assert object_store.head("new").sha256 == hashlib.sha256(pattern(size)).hexdigest()
    assert keys_of(object_store) == ["new"]


def put_at_once(store: ObjectStore, folder: Path, contents: list[bytes]) -> list[bytes]:
    """Put contents under one key at the same time; return those of writers who were not refused."""

    def put(number: int) -> bool:
        try:
            store.put(write(folder / str(number), contents[number]), "k", no_clobber=True)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(len(contents)) as pool:
        through = list(pool.map(put, range(len(contents))))
    return [content for content, won in zip(contents, through, strict=True) if won]


def test_puts_without_clobber_at_once_let_just_one_through(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    """Whoever comes second is told so, and the object is the first one's."""
    through = put_at_once(object_store, tmp_path, [b"%d" % number for number in range(8)])
    assert through == [read(object_store, "k")]


def test_puts_of_parts_without_clobber_at_once_leave_a_whole_object_of_one_that_came_through(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    """SeaweedFS completes uploads in two steps, so two at the same instant may come through."""
    contents = [b"%d" % number * BIG_BYTES for number in range(3)]
    through = put_at_once(object_store, tmp_path, contents)
    assert read(object_store, "k") in through


@pytest.mark.parametrize("size", [5, BIG_BYTES])
def test_put_of_other_bytes_than_the_checksum_says_leaves_nothing(
    object_store: ObjectStore, tmp_path: Path, size: int
) -> None:
    """A caller who knows the SHA-256 has the bytes checked that are really sent."""
    path = write(tmp_path / "a", pattern(size))
    right = hashlib.sha256(pattern(size)).hexdigest()
    object_store.put(path, "good", sha256=right)
    path.write_bytes(b"x" * size)
    with pytest.raises(ChecksumMismatchError, match=right):
        object_store.put(path, "bad", sha256=right)
    assert keys_of(object_store) == ["good"]


def test_put_of_a_missing_file_names_it(object_store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StoreFaultError, match=str(tmp_path / "nowhere")):
        object_store.put(tmp_path / "nowhere", "k")
    assert keys_of(object_store) == []


def test_get_of_a_missing_object_leaves_the_old_file(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    path = write(tmp_path / "a", b"old")
    with pytest.raises(MissingObjectError) as caught:
        object_store.get("nowhere", path)
    assert (caught.value.key, path.read_bytes()) == ("nowhere", b"old")


def test_get_makes_a_private_file_and_leaves_no_other(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.put(write(tmp_path / "a"), "k")
    target = tmp_path / "there" / "b"
    target.parent.mkdir()
    object_store.get("k", target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_get_into_a_missing_folder_names_it(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put(write(tmp_path / "a"), "k")
    with pytest.raises(StoreFaultError, match=str(tmp_path / "nowhere")):
        object_store.get("k", tmp_path / "nowhere" / "b")


def test_open_reads_in_pieces_of_any_size(object_store: ObjectStore, tmp_path: Path) -> None:
    content = pattern(3 * 1024 * 1024)
    object_store.put(write(tmp_path / "a", content), "k")
    with object_store.open("k") as reader:
        assert reader.read(10) == content[:10]
        assert b"".join(reader) == content[10:]
        assert reader.read() == b""


def test_open_is_read_to_its_end_after_a_part(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put(write(tmp_path / "a", pattern(3 * 1024 * 1024)), "k")
    with object_store.open("k") as reader:
        reader.read(10)
        assert len(reader.read()) == 3 * 1024 * 1024 - 10
        assert reader.read() == b""


def test_head_and_open_of_a_missing_object_say_so(object_store: ObjectStore) -> None:
    with pytest.raises(MissingObjectError):
        object_store.head("no/such")
    with pytest.raises(MissingObjectError), object_store.open("no/such"):
        pytest.fail("there is no such object")


def test_list_is_cut_by_prefix(object_store: ObjectStore, tmp_path: Path) -> None:
    """A prefix may end within a name."""
    path = write(tmp_path / "a")
    for key in ("b/2", "b/10", "b-1", "B", "bb/c/d", "ü", "a b+%&?#=.mp4"):
        object_store.put(path, key)
    assert keys_of(object_store) == ["B", "a b+%&?#=.mp4", "b-1", "b/10", "b/2", "bb/c/d", "ü"]
    assert keys_of(object_store, "b/") == ["b/10", "b/2"]
    assert keys_of(object_store, "b") == ["b-1", "b/10", "b/2", "bb/c/d"]
    assert keys_of(object_store, "nowhere") == []
    assert read(object_store, "a b+%&?#=.mp4") == b"a recording"


def test_list_tells_size_and_mark_of_each_object(object_store: ObjectStore, tmp_path: Path) -> None:
    put = object_store.put(write(tmp_path / "a"), "k")
    (listed,) = object_store.iter_objects()
    assert (listed.size_bytes, listed.etag) == (put.size_bytes, put.etag)
    assert listed.modified_at.tzinfo is not None


def test_delete_of_a_missing_object_is_no_error(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put(write(tmp_path / "a"), "k")
    object_store.delete("k")
    object_store.delete("k")
    object_store.delete("no/such")
    assert keys_of(object_store) == []


def test_delete_many_deletes_and_returns_what_cannot_be(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    """Missing ones count as deleted; a bad key does not stop the others."""
    path = write(tmp_path / "a")
    for key in ("a", "b", "c"):
        object_store.put(path, key)
    failed = object_store.delete_many(iter(["a", "no/such", "../b", "", "c"]))
    assert list(failed) == ["../b", ""]
    assert "'..'" in str(failed["../b"])
    assert keys_of(object_store) == ["b"]


def test_delete_many_of_nothing_returns_nothing(object_store: ObjectStore) -> None:
    assert object_store.delete_many([]) == {}


@pytest.mark.parametrize(
    "key", ["", "/", "../a", "a/../b", "a/..", "./a", "a\0b", "a\nb", "a" * 1025, "\ud800"]
)
def test_bad_key_is_refused_by_every_method(
    object_store: ObjectStore, tmp_path: Path, key: str
) -> None:
    path = write(tmp_path / "a")
    for call in (
        lambda: object_store.put(path, key),
        lambda: object_store.get(key, tmp_path / "b"),
        lambda: object_store.open(key).__enter__(),
        lambda: object_store.head(key),
        lambda: object_store.delete(key),
        lambda: object_store.presigned_url(key),
        lambda: object_store.public_url(key),
    ):
        with pytest.raises(ObjectKeyError):
            call()
    assert not (tmp_path / "b").exists()
    assert keys_of(object_store) == []


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
def test_presigned_url_outside_of_its_limits_is_refused(
    object_store: ObjectStore, seconds: int
) -> None:
    with pytest.raises(ValueError, match="604800"):
        object_store.presigned_url("k", seconds=seconds)


def test_every_error_of_a_store_is_one_of_ours(object_store: ObjectStore) -> None:
    """And it names the store and the key."""
    with pytest.raises(StorageError) as caught:
        object_store.head("rec/a.mp4")
    assert str(caught.value).startswith(f"{caught.value.store}/rec/a.mp4: found ")
