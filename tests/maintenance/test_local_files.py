"""A row's `local_path` is text from a database: what it leads to is deleted inside the app only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamhub_orm.data_dir import DataDir
from streamhub_orm.maintenance.local_files import delete_local_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(data_dir: Path) -> DataDir:
    (data_dir / "apps" / "live" / "recordings" / "room").mkdir(parents=True)
    return DataDir.find(data_dir)


@pytest.fixture
def recording(place: DataDir) -> Path:
    path = place.app_folder("live") / "recordings" / "room" / "a b.mp4"
    path.write_bytes(b"recording")
    return path


@pytest.mark.parametrize(
    "stored",
    [
        "{folder}/recordings/room/a b.mp4",
        "recordings/room/a b.mp4",
        "/data/apps/live/recordings/room/a b.mp4",
        "/srv/apps/live/apps/live/recordings/room/a b.mp4",
    ],
)
def test_file_of_the_app_is_deleted_however_it_is_named(
    place: DataDir, recording: Path, stored: str
) -> None:
    """Absolute, relative to the app's folder, or below another root, as in a container."""
    named = stored.format(folder=place.app_folder("live"))
    assert delete_local_file(place, "live", named) is None
    assert not recording.exists()
    assert recording.parent.is_dir()


def test_file_that_is_gone_already_counts_as_deleted(place: DataDir, recording: Path) -> None:
    for stored in (f"{recording}.not", "recordings/nowhere/x.mp4", "/nowhere/at/all.mp4"):
        assert delete_local_file(place, "live", stored) is None
    assert recording.exists()


@pytest.mark.parametrize(
    "stored",
    [
        "{root}/data/streamhub.db",
        "{root}/apps/radio/app.db",
        "{folder}/app.db",
        "{folder}/../radio/app.db",
        "{folder}/recordings/../app.db",
        "{folder}/recordings/../../radio/app.db",
        "recordings/../app.db",
        "app.db",
        "/data/apps/live/app.db",
        "/data/apps/live/recordings/../app.db",
        "{folder}/recordings/room",
        "{folder}/recordings/link.mp4",
        "{folder}/linked-folder/precious",
        "recordings/room/\0",
    ],
)
def test_what_is_no_file_in_a_folder_of_the_app_is_refused(
    place: DataDir, recording: Path, tmp_path: Path, stored: str
) -> None:
    """Databases, other apps, ways up, folders, links and links on the way to a file."""
    precious = tmp_path / "elsewhere" / "precious"
    precious.parent.mkdir()
    precious.write_bytes(b"precious")
    folder = place.app_folder("live")
    (folder / "recordings" / "link.mp4").symlink_to(precious)
    (folder / "linked-folder").symlink_to(precious.parent)
    before = sorted(place.root.rglob("*"))
    reason = delete_local_file(place, "live", stored.format(root=place.root, folder=folder))
    assert reason is not None
    assert "its local file" in reason
    assert sorted(place.root.rglob("*")) == before
    assert precious.read_bytes() == b"precious"


def test_file_that_cannot_be_deleted_is_named_with_the_reason(
    place: DataDir, recording: Path
) -> None:
    reason = delete_local_file(place, "live", str(recording / "below"))
    assert reason is not None
    assert "cannot be deleted" in reason
    assert recording.exists()
