"""Encrypted archives: only an identity of a recipient opens them, and nothing plain stays."""

from __future__ import annotations

import io
import shutil
import subprocess
from typing import TYPE_CHECKING

import pyrage
import pytest

from streamhub_orm.archives import Places, create_archive, fetch_and_restore, verify_archive
from streamhub_orm.archives.encryption import as_plain
from streamhub_orm.archives.prune import prune_store
from streamhub_orm.archives.retention import Retention
from streamhub_orm.errors import (
    DamagedArchiveError,
    EnvironmentSettingError,
    IdentityFileError,
    UnusableArchiveError,
)
from tests.archives.test_restore import contents_of

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.archives.create import Created
    from streamhub_orm.storage import LocalStore
    from tests.support.installations import Installation


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A file as age-keygen writes it."""
    secret = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# public key: {secret.to_public()}\n{secret}\n", "ascii")
    return path


def public_key(identity: Path) -> str:
    return identity.read_text("ascii").splitlines()[0].removeprefix("# public key: ")


@pytest.fixture
def sealed(installation: Installation, identity: Path, tmp_path: Path) -> Created:
    return create_archive(
        installation.data_dir, tmp_path / "backups", recipients=[public_key(identity)]
    )


def places_of(installation: Installation, sealed: Created, identity: Path | None) -> Places:
    return Places(installation.data_dir, sealed.archive.parent, None, 30, (), identity)


def test_encrypted_archive_shows_nothing_and_leaves_nothing_plain(
    sealed: Created, tmp_path: Path
) -> None:
    assert sealed.archive.name.endswith(".tar.gz.age")
    assert sealed.archive.stat().st_mode & 0o777 == 0o600
    assert list(sealed.archive.parent.iterdir()) == [sealed.archive]
    assert sealed.archive.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert not list(tmp_path.rglob("*.tar.gz"))


def test_identity_of_any_recipient_opens_it(
    installation: Installation, identity: Path, tmp_path: Path
) -> None:
    """Of age, and of SSH as ssh-keygen makes it."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen on this machine")
    ssh = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh], check=True)
    keys = [public_key(identity), ssh.with_suffix(".pub").read_text("ascii").strip()]
    sealed = create_archive(installation.data_dir, tmp_path / "backups", recipients=keys)
    for each in (identity, ssh):
        with as_plain(sealed.archive, each) as plain:
            found = verify_archive(plain)
        assert found.ok
        assert found.complete
    assert not plain.exists()


def test_restore_by_identity_brings_every_row_back(
    installation: Installation, sealed: Created, identity: Path
) -> None:
    before = contents_of(installation.data_dir)
    (installation.data_dir / "apps/live/app.db").write_bytes(b"ruined")
    restored = fetch_and_restore(places_of(installation, sealed, identity), "latest")
    assert restored.source == str(sealed.archive)
    after = contents_of(installation.data_dir)
    assert {name: after[name] for name in before if "ruined" not in name} == before


def test_without_its_identity_it_is_refused_by_its_own_name_and_nothing_is_touched(
    installation: Installation, sealed: Created, tmp_path: Path
) -> None:
    before = contents_of(installation.data_dir)
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()), "ascii")
    for identity, words in ((None, "--identity or BACKUP_AGE_IDENTITY"), (other, "other.txt")):
        with pytest.raises(UnusableArchiveError, match=words) as caught:
            fetch_and_restore(places_of(installation, sealed, identity), "latest")
        assert str(caught.value).startswith(f"{sealed.archive}: ")
    assert contents_of(installation.data_dir) == before


@pytest.mark.parametrize("damage", ["cut off", "changed", "no age file"])
def test_damaged_one_is_refused(sealed: Created, identity: Path, damage: str) -> None:
    content = bytearray(sealed.archive.read_bytes())
    if damage == "cut off":
        del content[-100:]
    elif damage == "changed":
        content[-200] ^= 1
    else:
        content[:] = b"no age file"
    sealed.archive.write_bytes(content)
    with (
        pytest.raises((DamagedArchiveError, UnusableArchiveError)),
        as_plain(sealed.archive, identity),
    ):
        pytest.fail("a damaged archive")


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"AGE-SECRET-KEY-1NONSENSE", b"\xff"]
)
def test_file_without_an_identity_is_named_and_not_shown(
    sealed: Created, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(content)
    with pytest.raises(IdentityFileError) as caught, as_plain(sealed.archive, path):
        pytest.fail("no identity")
    assert "NONSENSE" not in str(caught.value)
    with (
        pytest.raises(IdentityFileError, match="missing"),
        as_plain(sealed.archive, tmp_path / "missing.txt"),
    ):
        pytest.fail("no file")


def test_recipient_that_is_no_public_key_is_refused_before_anything_is_made(
    installation: Installation, identity: Path, tmp_path: Path
) -> None:
    """It is not shown: somebody may have put the identity itself there."""
    secret = identity.read_text("ascii").splitlines()[1]
    with pytest.raises(EnvironmentSettingError, match="number 2") as caught:
        create_archive(
            installation.data_dir,
            tmp_path / "backups",
            recipients=[public_key(identity), secret],
        )
    assert secret not in str(caught.value)
    assert not (tmp_path / "backups").exists()


def test_plain_archive_after_an_encrypted_one_reads_every_file(
    installation: Installation, sealed: Created
) -> None:
    again = create_archive(installation.data_dir, sealed.archive.parent)
    assert again.reused == 0
    assert verify_archive(again.archive).ok


def test_encrypted_ones_are_pruned_and_the_newest_stays(
    local_store: LocalStore, sealed: Created, identity: Path
) -> None:
    """With the identity a damaged one is told from a good one; without, complete is enough."""
    for day in (1, 2, 3):
        name = f"streamhub-backup-2026010{day}T000000Z.tar.gz.age"
        (local_store.folder / name).write_bytes(sealed.archive.read_bytes())
    newest = local_store.folder / "streamhub-backup-20260103T000000Z.tar.gz.age"
    newest.write_bytes(newest.read_bytes()[:-50])
    seen = prune_store(local_store, Retention(0, 1), dry_run=True, identity=identity)
    blind = prune_store(local_store, Retention(0, 1), dry_run=True)
    assert (seen.good or "", blind.good or "") == (
        "streamhub-backup-20260102T000000Z.tar.gz.age",
        "streamhub-backup-20260103T000000Z.tar.gz.age",
    )


def test_age_format_is_that_of_the_library(sealed: Created, identity: Path) -> None:
    """Whoever has only age opens it by hand."""
    secret = pyrage.x25519.Identity.from_str(identity.read_text("ascii").splitlines()[1])
    plain = pyrage.decrypt(sealed.archive.read_bytes(), [secret])
    assert io.BytesIO(plain).read(2) == b"\x1f\x8b"
