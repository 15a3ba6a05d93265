"""Manifests that no backup wrote: the archive is refused in words, and the next one is made."""

from __future__ import annotations

import gzip
import json
import os
import struct
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from streamhub_orm.archives import create_archive, restore_archive, verify_archive
from streamhub_orm.archives.format import Manifest, Owner, finish, load_manifest
from streamhub_orm.errors import DamagedArchiveError
from tests.archives.test_create import UNPROVABLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.support.installations import Installation

FOOTER_BYTES = 34
TEXTS = {
    "deep": b"[" * 200_000,
    "long number": b'{"format": ' + b"9" * 5_000 + b"}",
    "no object": b"[]",
    "no JSON": b"\xff\xfe",
}
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "files": lambda document: document.update(files={"data/streamhub.db": 1}),
    "file": lambda document: document["files"].insert(0, None),
    "failures": lambda document: document.update(failures=["data/streamhub.db"]),
    "failure": lambda document: document.update(failures={"data/streamhub.db": 7}),
    "created_at": lambda document: document.update(created_at=5),
    "name": lambda document: document["files"][0].update(name=["data/streamhub.db"]),
    "sha256": lambda document: document["files"][0].update(sha256=None),
    "revision": lambda document: document["files"][0].update(revision=13),
    "rows": lambda document: document["files"][0].update(rows=[]),
    "count": lambda document: document["files"][0].update(rows={"apps": "3"}),
    "offset in words": lambda document: document["files"][0].update(offset="0"),
    "offset before the begin": lambda document: document["files"][0].update(offset=-1),
    "offset beyond all": lambda document: document["files"][0].update(offset=1 << 70),
    "size": lambda document: document["files"][0].update(packed_bytes=-(1 << 20)),
    "inodes": lambda document: document["files"][0].update(source={"file": 3, "wal": None}),
    "inode": lambda document: document["files"][0].update(source={"file": ["a"], "wal": None}),
    "unknown": lambda document: document["files"][0].update(surprise=True),
}


def body_of(created: Created) -> bytes:
    """Return an archive as far as its manifest."""
    last = created.manifest.files[-1]
    return created.archive.read_bytes()[: last.offset + last.packed_bytes]


def give_manifest(created: Created, text: bytes) -> None:
    class Written(Manifest):
        def to_bytes(self) -> bytes:
            return text

    body = body_of(created)
    with created.archive.open("wb") as target:
        target.write(body)
        finish(target, Written("", ""), Owner(os.geteuid(), os.getegid()))


def changed(created: Created, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(created.manifest.to_bytes())
    change(document)
    return json.dumps(document).encode()


def assert_refused_and_replaced(installation: Installation, created: Created) -> None:
    """Nothing is restored from it, and the backup after it reads every file anew."""
    for read in (load_manifest, verify_archive):
        with pytest.raises(DamagedArchiveError, match="manifest"):
            read(created.archive)
    with pytest.raises(DamagedArchiveError, match="manifest"):
        restore_archive(created.archive, installation.data_dir)
    following = create_archive(installation.data_dir, created.archive.parent)
    assert following.complete
    assert following.reused == 0
    assert verify_archive(following.archive).ok


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_manifest_of_another_form_is_refused_and_stops_no_later_backup(
    installation: Installation, created: Created, text: bytes
) -> None:
    give_manifest(created, text)
    assert_refused_and_replaced(installation, created)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_manifest_with_a_wrong_type_is_refused_and_stops_no_later_backup(
    installation: Installation, created: Created, change: Callable[[dict[str, Any]], object]
) -> None:
    give_manifest(created, changed(created, change))
    assert_refused_and_replaced(installation, created)


def test_manifest_that_is_given_anew_unchanged_is_read(created: Created) -> None:
    """So what the tests above find is in the manifest, and not in how they write it."""
    give_manifest(created, changed(created, lambda _: None))
    assert load_manifest(created.archive) == created.manifest


@pytest.mark.parametrize("size", [-1, -(1 << 40), 1 << 62])
def test_manifest_of_an_impossible_size_is_refused_and_stops_no_later_backup(
    installation: Installation, created: Created, size: int
) -> None:
    header = tarfile.TarInfo("manifest.json")
    header.size = size
    body = body_of(created)
    footer = created.archive.read_bytes()[-FOOTER_BYTES:]
    fragment = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + created.manifest.to_bytes())
    created.archive.write_bytes(body + fragment + footer)
    assert_refused_and_replaced(installation, created)


@pytest.mark.parametrize("offset", [1 << 40, (1 << 64) - 1])
def test_manifest_that_lies_beyond_the_archive_is_refused_and_stops_no_later_backup(
    installation: Installation, created: Created, offset: int
) -> None:
    content = created.archive.read_bytes()
    number = struct.pack("<Q", len(body_of(created)))
    begin = content.rindex(number)
    assert begin > len(content) - FOOTER_BYTES
    changed_end = struct.pack("<Q", offset) + content[begin + len(number) :]
    created.archive.write_bytes(content[:begin] + changed_end)
    assert_refused_and_replaced(installation, created)


def test_name_of_an_archive_on_something_else_stops_no_backup(
    installation: Installation, tmp_path: Path
) -> None:
    """A FIFO would hold whoever opens it for ever, a folder cannot be read at all."""
    folder = tmp_path / "backups"
    folder.mkdir()
    os.mkfifo(folder / "streamhub-backup-29990101T000000Z.tar.gz")
    (folder / "streamhub-backup-29990101T000001Z.tar.gz").mkdir()
    assert create_archive(installation.data_dir, folder).complete


def test_database_that_the_archive_before_holds_without_a_table_is_read_again(
    installation: Installation, tmp_path: Path
) -> None:
    """Older archives hold such databases; taken over, they would spoil every later one."""
    time.sleep(UNPROVABLE_SECONDS)
    created = create_archive(installation.data_dir, tmp_path / "backups")
    name = "data/apps/live/app.db"
    rows = created.manifest.entries[name].rows
    assert rows
    rows.clear()
    give_manifest(created, created.manifest.to_bytes())
    following = create_archive(installation.data_dir, tmp_path / "backups")
    assert following.reused == len(created.manifest.files) - 1
    assert following.manifest.entries[name].rows
