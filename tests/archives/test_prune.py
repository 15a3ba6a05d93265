"""Old backups go, the newest good one never; in a folder and in a bucket alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.names import ArchiveName
from streamhub_orm.archives.prune import prune_store
from streamhub_orm.archives.retention import Retention
from streamhub_orm.archives.stored import archives_in, get_archive, store_archive
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from streamhub_orm.storage import LocalStore, ObjectStore

NOW = datetime(2026, 6, 30, 3, 0, 0, tzinfo=UTC)


def name_of(days_ago: int, *, complete: bool = True) -> str:
    return str(ArchiveName(NOW - timedelta(days=days_ago), complete=complete))


@pytest.fixture
def archive(created: Created, tmp_path: Path) -> Path:
    """A good archive, to be stored under the names of other days."""
    return created.archive


def fill(store: ObjectStore, archive: Path, names: list[str]) -> None:
    for name in reversed(names):  # the oldest first, as they were made
        aged = archive.with_name(name)
        aged.write_bytes(archive.read_bytes())
        store_archive(store, aged)
        aged.unlink()


def names_in(store: ObjectStore) -> list[str]:
    return [str(backup.name) for backup in archives_in(store)]


def test_backups_older_than_the_days_go(object_store: ObjectStore, archive: Path) -> None:
    fill(object_store, archive, [name_of(days) for days in (0, 29, 31, 400)])
    pruned = prune_store(object_store, Retention(30), now=NOW)
    assert pruned.removed == [name_of(31), name_of(400)]
    assert names_in(object_store) == [name_of(0), name_of(29)]
    assert (pruned.good, pruned.kept) == (name_of(0), 2)


def test_backups_beyond_the_count_go(object_store: ObjectStore, archive: Path) -> None:
    """An incomplete one takes no place of a complete one."""
    names = [name_of(0, complete=False), name_of(1), name_of(2), name_of(3)]
    fill(object_store, archive, names)
    prune_store(object_store, Retention(0, 2), now=NOW)
    assert names_in(object_store) == names[:3]


def test_newest_good_backup_stays_whatever_its_age(
    object_store: ObjectStore, archive: Path
) -> None:
    fill(object_store, archive, [name_of(90, complete=False), name_of(100), name_of(200)])
    prune_store(object_store, Retention(30), now=NOW)
    assert names_in(object_store) == [name_of(100)]


def test_backup_that_does_not_verify_is_not_the_good_one(
    local_store: LocalStore, archive: Path
) -> None:
    """The newest is cut off, so the one before it must stay, though it is too old."""
    fill(local_store, archive, [name_of(40), name_of(50)])
    (local_store.folder / name_of(0)).write_bytes(archive.read_bytes()[:-100])
    pruned = prune_store(local_store, Retention(30), now=NOW)
    assert pruned.good == name_of(40)
    assert names_in(local_store) == [name_of(0), name_of(40)]


def test_where_no_backup_is_good_all_stay(local_store: LocalStore) -> None:
    for days in (100, 200):
        (local_store.folder / name_of(days)).write_bytes(b"not an archive")
    pruned = prune_store(local_store, Retention(30, 1), now=NOW)
    assert (pruned.good, pruned.removed, pruned.kept) == (None, [], 2)
    assert len(names_in(local_store)) == 2


def test_rehearsed_pruning_removes_nothing(local_store: LocalStore, archive: Path) -> None:
    fill(local_store, archive, [name_of(0), name_of(100)])
    pruned = prune_store(local_store, Retention(30), now=NOW, dry_run=True)
    assert pruned.removed == [name_of(100)]
    assert names_in(local_store) == [name_of(0), name_of(100)]


def test_other_files_are_no_backups(local_store: LocalStore, archive: Path) -> None:
    fill(local_store, archive, [name_of(0)])
    others = ["streamhub-backup-notes.txt", f"deeper/{name_of(500)}", f"{name_of(500)}.part"]
    for other in others:
        path = local_store.folder / other
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    prune_store(local_store, Retention(30, 1), now=NOW)
    assert all((local_store.folder / other).exists() for other in others)


def future(days: int) -> str:
    return str(ArchiveName(utc_now().replace(microsecond=0) + timedelta(days=days)))


def test_backup_from_the_future_stays_and_counts_as_none(
    object_store: ObjectStore, archive: Path
) -> None:
    """Made while the clock was ahead; by its name it would be the newest for years."""
    ahead = future(400)
    fill(object_store, archive, [name_of(0), name_of(1), ahead, name_of(2)])
    assert names_in(object_store) == [name_of(0), name_of(1), name_of(2), ahead]
    assert str(get_archive(object_store, "latest").name) == name_of(0)

    pruned = prune_store(object_store, Retention(0, 1), now=NOW)

    assert pruned.suspect == [ahead]
    assert names_in(object_store) == [name_of(0), ahead]
    assert pruned.good == name_of(0)


def test_newest_good_backup_by_the_stores_time_stays_too(
    local_store: LocalStore, archive: Path
) -> None:
    """The clock was behind when it was made: by its name it is the oldest."""
    fill(local_store, archive, [name_of(days) for days in (900, 0, 1)])
    prune_store(local_store, Retention(30, 1), now=NOW)
    assert names_in(local_store) == [name_of(0), name_of(900)]


def test_any_number_of_days_is_a_retention(local_store: LocalStore, archive: Path) -> None:
    fill(local_store, archive, [name_of(400)])
    assert prune_store(local_store, Retention(999_999_999_999), now=NOW).removed == []
    assert prune_store(local_store, Retention(999_999), now=NOW).removed == []
