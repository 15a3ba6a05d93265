"""Archives that nobody should open: each is refused, and nothing appears outside of the scratch."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.archives.restore import restore_archive
from streamhub_orm.archives.unpacking import Unpacking
from streamhub_orm.archives.verify import verify_archive
from streamhub_orm.errors import DamagedArchiveError, HostileArchiveError, SpaceError
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from tests.archives.conftest import MakeArchive
    from tests.support.installations import Installation


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


HOSTILE: dict[str, bytes | tarfile.TarInfo] = {
    "/data/streamhub.db": b"x",
    "data/../../etc/passwd": b"x",
    "data/apps/../../streamhub.db": b"x",
    "../data/streamhub.db": b"x",
    "data/streamhub.db": special(tarfile.SYMTYPE, "/etc/passwd"),
    "data/apps/live/app.db": special(tarfile.LNKTYPE, "data/streamhub.db"),
    "data/apps": special(tarfile.SYMTYPE, "/tmp"),  # noqa: S108 - where the link leads
    "data/secrets.json": special(tarfile.CHRTYPE),
    "data/apps/live/vods.db": special(tarfile.FIFOTYPE),
    "data/apps/live/config.yaml": special(tarfile.GNUTYPE_SPARSE),
    "data/apps/tv-2/config.yaml": b" " * (2 << 20),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [verify_archive, restore_archive], ids=lambda it: it.__name__)
def test_hostile_member_is_refused_and_nothing_is_touched(
    installation: Installation, make_archive: MakeArchive, name: str, read: Callable[..., object]
) -> None:
    archive = make_archive({name: HOSTILE[name]})
    before = fingerprint_files(installation.data_dir)
    outside = sorted(installation.data_dir.parent.iterdir())
    with pytest.raises(HostileArchiveError, match="do not use it"):
        read(archive, *([installation.data_dir] if read is restore_archive else []))
    assert fingerprint_files(installation.data_dir) == before
    assert sorted(installation.data_dir.parent.iterdir()) == outside


def test_name_that_comes_twice_is_refused(tmp_path: Path, make_archive: MakeArchive) -> None:
    """A second file of one name would replace a checked one."""
    archive = make_archive({"data/secrets.json": b"{}", "./data/secrets.json": b"{}"})
    with pytest.raises(HostileArchiveError, match="twice"):
        list(Unpacking(archive).files(tmp_path / "out"))


def test_member_larger_than_the_disk_is_refused_before_it_is_written(
    tmp_path: Path, make_archive: MakeArchive
) -> None:
    """The header says 2^60 bytes; whatever would follow, nothing of it is unpacked."""
    header = tarfile.TarInfo("data/streamhub.db")
    header.size = 1 << 60
    archive = make_archive({})
    with gzip.open(archive, "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    (tmp_path / "out").mkdir()
    with pytest.raises(SpaceError):
        list(Unpacking(archive).files(tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["data/secrets.json", "data/streamhub.db", "notes.txt"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE])
def test_member_of_a_negative_size_is_refused(
    tmp_path: Path, make_archive: MakeArchive, name: str, kind: bytes
) -> None:
    """To read -1 bytes would mean to read them all."""
    header = tarfile.TarInfo(name)
    header.size, header.type = -1, kind
    archive = make_archive({})
    with gzip.open(archive, "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(HostileArchiveError, match="-1 bytes"):
        list(Unpacking(archive).files(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_bomb_in_an_extended_header_costs_no_memory(
    tmp_path: Path, make_archive: MakeArchive
) -> None:
    """A pax header may have any size, and the tarfile module would read it whole."""
    archive = make_archive({})
    header = special(tarfile.XHDTYPE)
    header.size = 1 << 28
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(256):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    largest = 0

    class Watched(Unpacking):
        """Sees how much is asked for at once."""

        def _members(self, plain):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            read = plain.read

            def watching(size: int) -> bytes:
                nonlocal largest
                largest = max(largest, size)
                return bytes(read(size))

            plain.read = watching
            return super()._members(plain)

    assert list(Watched(archive).files(tmp_path / "out")) == []
    assert 0 < largest <= 1 << 20


def test_wal_beside_a_database_is_refused(tmp_path: Path, make_archive: MakeArchive) -> None:
    """It may hold rows; restoring the file without it would lose them."""
    archive = make_archive({"data/streamhub.db-wal": b"frames"})
    with pytest.raises(DamagedArchiveError, match="while it was in use"):
        list(Unpacking(archive).files(tmp_path / "out"))


def test_harmless_stranger_is_left_in_the_archive_and_named(
    tmp_path: Path, make_archive: MakeArchive
) -> None:
    unpacking = Unpacking(make_archive({"data/notes.txt": b"x", "data/apps/live/app.db-wal": b""}))
    assert list(unpacking.files(tmp_path / "out")) == []
    assert unpacking.ignored == ["data/notes.txt", "data/apps/live/app.db-wal"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_archive_that_is_cut_off_is_refused(created: Created, share: float) -> None:
    content = created.archive.read_bytes()
    created.archive.write_bytes(content[: int(len(content) * share)])
    assert_cut_off(created.archive)


def test_archive_that_ends_between_two_files_is_refused(created: Created) -> None:
    """There every gzip member is whole; only the end of the tar file lacks."""
    entry = created.manifest.files[3]
    created.archive.write_bytes(created.archive.read_bytes()[: entry.offset])
    assert_cut_off(created.archive)


def assert_cut_off(archive: Path) -> None:
    """In the words of the table in docs/OPERATIONS.md; only the last bytes have others."""
    try:
        found = verify_archive(archive)
    except DamagedArchiveError as error:
        assert error.faults == ("it is cut off",)  # noqa: PT017 - or a fault, see below
    else:
        assert found.faults == ["its last bytes are missing, which lead to the manifest"]


@pytest.mark.parametrize("number", range(0, 400, 13))
def test_archive_with_a_flipped_byte_is_refused(created: Created, number: int) -> None:
    """Wherever it is: gzip's CRC, the checksum of the tar header or of the manifest finds it."""
    content = bytearray(created.archive.read_bytes())
    position = number * len(content) // 400
    content[position] ^= 0x10
    created.archive.write_bytes(content)
    assert_damaged(created.archive, or_same=(created, position))


def assert_damaged(archive: Path, or_same: tuple[Created, int] | None = None) -> None:
    try:
        found = verify_archive(archive)
    except (DamagedArchiveError, HostileArchiveError):
        return
    in_gzip_header = or_same and _is_free_byte(*or_same)
    assert found.faults or in_gzip_header, found


def _is_free_byte(created: Created, position: int) -> bool:
    """Tell whether a byte of a gzip member says nothing of the content.

    So it is with time, level and system in its header, and with the bits that fill the last byte
    before the CRC and the size, which end it.
    """
    files = created.manifest.files
    ends = [entry.offset + entry.packed_bytes for entry in files]
    starts = [entry.offset for entry in files] + ends[-1:]
    in_header = any(4 <= position - start < 10 for start in starts)
    return in_header or any(position == end - 9 for end in ends)


def test_archive_of_nothing_is_refused(make_archive: MakeArchive) -> None:
    assert verify_archive(make_archive({})).faults == ["no database at all"]


def test_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "streamhub-backup-20240229T235959Z.tar.gz"
    path.write_bytes(b"not a gzip file, but longer than the end of an archive would be")
    with pytest.raises(DamagedArchiveError, match="found it is no gzip file"):
        verify_archive(path)


def test_archive_with_something_else_behind_a_member_is_named_damaged(created: Created) -> None:
    """It begins as a gzip file does, so to call it none would mislead."""
    entry = created.manifest.files[3]
    content = created.archive.read_bytes()[: entry.offset]
    created.archive.write_bytes(content + b"no gzip member, but longer than its header would be")
    with pytest.raises(DamagedArchiveError, match="found it is damaged"):
        verify_archive(created.archive)


def test_manifest_that_disagrees_with_a_file_is_a_fault(created: Created, tmp_path: Path) -> None:
    """Somebody packed the archive anew with another secrets.json, and kept the manifest."""
    with tarfile.open(created.archive) as old:
        contents = {
            info.name: (info, file.read())
            for info in old
            if (file := old.extractfile(info)) is not None
        }
    replaced, _ = contents["data/secrets.json"]
    replaced.size = 2
    contents["data/secrets.json"] = (replaced, b"{}")
    changed = tmp_path / created.archive.name
    with tarfile.open(changed, "w:gz") as new:
        for info, content in contents.values():
            new.addfile(info, io.BytesIO(content))
    # The end of our own form of archive follows: the manifest's offset no longer leads to it.
    changed.write_bytes(changed.read_bytes() + created.archive.read_bytes()[-34:])
    with pytest.raises(DamagedArchiveError, match="manifest"):
        verify_archive(changed)
