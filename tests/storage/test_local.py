"""The local store: links, damage on the disk, what killed writers leave, durable appearance."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    ChecksumMismatchError,
    MissingBucketError,
    MissingObjectError,
    ObjectKeyError,
    StorageError,
    StoreFaultError,
)
from streamhub_orm.storage import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).parents[2]

PUT_FOR_EVER = """
import sys
from pathlib import Path
from streamhub_orm.storage import LocalStore
store, source = LocalStore(Path(sys.argv[1])), Path(sys.argv[2])
while True:
    store.put(source, "rec/a.mp4")
    print("put", flush=True)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"a recording")
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(it.relative_to(folder).as_posix() for it in folder.rglob("*") if it.is_file())


def test_object_is_a_plain_private_file_of_its_key(local_store: LocalStore, source: Path) -> None:
    local_store.put(source, "rec/a.mp4")
    path = local_store.folder / "rec" / "a.mp4"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"a recording", 0o600)
    assert files_below(local_store.folder) == [".checksums/rec/a.mp4", "rec/a.mp4"]


def test_link_out_of_the_folder_is_refused_by_every_call(
    local_store: LocalStore, source: Path, tmp_path: Path
) -> None:
    """A linked folder and a linked file; what lies outside is neither read, touched nor listed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (local_store.folder / "linked").symlink_to(outside)
    (local_store.folder / "file").symlink_to(outside / "secret")
    calls: tuple[Callable[[str], object], ...] = (
        lambda key: local_store.put(source, key),
        lambda key: local_store.get(key, tmp_path / "target"),
        local_store.head,
        local_store.delete,
    )
    for key in ("linked/secret", "linked/new", "file"):
        for call in calls:
            with pytest.raises(ObjectKeyError, match="a link out of the folder"):
                call(key)
        assert "a link out" in str(local_store.delete_many([key])[key])
    assert files_below(outside) == ["secret"]
    assert not (tmp_path / "target").exists()
    assert list(local_store.iter_objects()) == []


@pytest.mark.parametrize(
    "key", ["a//b", "a/", ".checksums/a", ".a.1234.streamhub-tmp", "a" * 201, "é" * 101]
)
def test_key_that_no_file_can_have_is_refused(
    local_store: LocalStore, source: Path, key: str
) -> None:
    with pytest.raises(ObjectKeyError):
        local_store.put(source, key)
    assert files_below(local_store.folder) == []


def test_object_damaged_on_the_disk_is_refused(
    local_store: LocalStore, source: Path, tmp_path: Path
) -> None:
    """Same size, same time: only the checksum tells."""
    local_store.put(source, "k")
    path = local_store.folder / "k"
    before = path.stat()
    path.write_bytes(b"A recording")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChecksumMismatchError, match="SHA-256"):
        local_store.get("k", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_object_that_an_operator_put_there_has_no_checksum_and_can_be_read(
    local_store: LocalStore, source: Path, tmp_path: Path
) -> None:
    """Also where it took the place of one that had."""
    local_store.put(source, "k")
    (local_store.folder / "k").write_bytes(b"an operator's own")
    (local_store.folder / "l").write_bytes(b"another")
    assert [local_store.head(key).sha256 for key in ("k", "l")] == [None, None]
    local_store.get("k", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"an operator's own"


def test_missing_folder_is_named_and_not_made(source: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "nowhere")
    for call in (
        lambda: store.put(source, "a/b"),
        lambda: store.get("k", tmp_path / "target"),
        lambda: store.head("k"),
        lambda: list(store.iter_objects()),
        lambda: store.delete("k"),
    ):
        with pytest.raises(MissingBucketError, match="nowhere"):
            call()
    assert not (tmp_path / "nowhere").exists()


def test_folder_is_no_object_and_an_object_no_folder(local_store: LocalStore, source: Path) -> None:
    """S3 lets `a` and `a/b` live side by side; a file system does not, and says so."""
    local_store.put(source, "a/b")
    with pytest.raises(MissingObjectError):
        local_store.head("a")
    with pytest.raises(MissingObjectError), local_store.open("a"):
        pytest.fail("a folder")
    with pytest.raises(MissingObjectError):
        local_store.head("a/b/c")
    with pytest.raises(StoreFaultError):
        local_store.put(source, "a")
    with pytest.raises(StoreFaultError):
        local_store.put(source, "a/b/c")
    local_store.delete("a")
    assert [it.key for it in local_store.iter_objects()] == ["a/b"]


def test_prefix_comes_before_keys_and_hides_its_neighbours(
    local_store: LocalStore, source: Path
) -> None:
    store = LocalStore(local_store.folder, prefix="/live/")
    local_store.put(source, "live-2/b")
    assert store.put(source, "a").key == "live/a"
    assert store.head("live/a") == store.head("a")
    assert [it.key for it in store.iter_objects()] == ["live/a"]


def test_urls_are_below_the_public_url_or_of_the_file(tmp_path: Path) -> None:
    public = LocalStore(tmp_path, public_url="https://cdn.example/")
    assert public.public_url("a b/ü.mp4") == "https://cdn.example/a%20b/%C3%BC.mp4"
    assert LocalStore(tmp_path).public_url("a") == f"file://{tmp_path}/a"
    assert public.presigned_url("a") == f"file://{tmp_path}/a"


def test_killed_put_leaves_the_whole_object_and_the_next_put_cleans_up(
    local_store: LocalStore, source: Path
) -> None:
    """At whatever moment: the object is whole, and temporary files do not stay."""
    source.write_bytes(b"recording " * 200_000)
    command = [sys.executable, "-c", PUT_FOR_EVER, str(local_store.folder), str(source)]
    for pause in (0.001, 0.004, 0.007, 0.011, 0.016):
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.kill()
        with local_store.open("rec/a.mp4") as reader:
            assert reader.read() == source.read_bytes()
        assert [it.key for it in local_store.iter_objects()] == ["rec/a.mp4"]
    local_store.put(source, "rec/a.mp4")
    assert files_below(local_store.folder) == [".checksums/rec/a.mp4", "rec/a.mp4"]


def test_full_disk_is_an_error_and_leaves_the_old_object(
    local_store: LocalStore, source: Path
) -> None:
    """A limit on the size of files stands for the disk, in a process of its own."""
    local_store.put(source, "k")
    source.write_bytes(b"x" * 1_000_000)
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from streamhub_orm.errors import StorageError\n"
        "from streamhub_orm.storage import LocalStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "try: LocalStore(Path(sys.argv[1])).put(Path(sys.argv[2]), 'k')\n"
        "except StorageError as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code, str(local_store.folder), str(source)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"StoreFaultError {local_store.folder}/k: found File too large")
    assert files_below(local_store.folder) == [".checksums/k", "k"]
    assert local_store.head("k").size_bytes == len(b"a recording")


def test_error_of_a_local_store_is_one_of_ours(local_store: LocalStore) -> None:
    with pytest.raises(StorageError):
        local_store.head("k")


def test_concurrent_puts_of_one_key_leave_one_writers_whole_object(
    local_store: LocalStore, tmp_path: Path
) -> None:
    """Readers meanwhile see one or the other; at rest the checksum is that of the bytes."""
    sources = [tmp_path / f"source-{number}" for number in range(4)]
    for number, source in enumerate(sources):
        source.write_bytes(bytes([number]) * 20_000)
    keys = [f"rec/{number}.mp4" for number in range(60)]

    def put_all(source: Path) -> None:
        for key in keys:
            local_store.put(source, key)

    def read_all() -> int:
        read = 0
        for key in keys * 3:
            with suppress(MissingObjectError), local_store.open(key) as reader:
                read += len(set(reader.read())) == 1
        return read

    put_all(sources[0])
    with ThreadPoolExecutor(6) as threads:
        readers = [threads.submit(read_all) for _ in range(2)]
        for job in [threads.submit(put_all, source) for source in sources]:
            job.result()
        assert all(reader.result() > 0 for reader in readers)
    for key in keys:
        with local_store.open(key) as reader:
            assert reader.info.sha256 is not None
            assert len(set(reader.read())) == 1


def test_deleted_object_leaves_no_folder_that_blocks_a_later_key(
    local_store: LocalStore, source: Path
) -> None:
    local_store.put(source, "a/b/c")
    local_store.put(source, "a/d")
    local_store.delete("a/b/c")
    local_store.put(source, "a/b")
    local_store.delete("a/b")
    local_store.delete("a/d")
    assert local_store.put(source, "a").key == "a"
    local_store.delete("a")
    assert [it.name for it in local_store.folder.iterdir()] == [".checksums"]


def test_puts_beside_deletes_of_the_same_folder_all_succeed(
    local_store: LocalStore, source: Path
) -> None:
    def put_and_delete(number: int) -> None:
        for _ in range(40):
            local_store.put(source, f"deep/er/{number}")
            local_store.delete(f"deep/er/{number}")

    with ThreadPoolExecutor(4) as threads:
        for job in [threads.submit(put_and_delete, number) for number in range(4)]:
            job.result()
    assert not (local_store.folder / "deep").exists()


def test_listing_follows_no_link_out_of_the_store(local_store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"not ours")
    (local_store.folder / "link").symlink_to(outside)
    assert list(local_store.iter_objects()) == []
    assert list(local_store.iter_objects("link/")) == []
