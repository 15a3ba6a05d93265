"""Encryption of archives in the age format: for recipients, whose identities alone open them.

An archive holds secrets.json. Its recipients are public keys, of age (`age1…`) or SSH; whoever
makes archives needs no secret. `age -d` and `rage -d` open them as well.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from streamhub_orm.archives.format import open_archive
from streamhub_orm.durable_files import read_regular
from streamhub_orm.errors import (
    DamagedArchiveError,
    EnvironmentSettingError,
    IdentityFileError,
    IrregularFileError,
    UnusableArchiveError,
)
from streamhub_orm.owner import as_operator, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyrage import ssh, x25519

    Recipients = Sequence[x25519.Recipient | ssh.Recipient]

_SUFFIX: Final = ".age"
_RECIPIENTS: Final = "BACKUP_AGE_RECIPIENTS"
_SSH_KEY: Final = b"-----BEGIN "
_MOST_IDENTITY_BYTES: Final = 1 << 20


def parse_recipients(texts: Sequence[str]) -> Recipients:
    """Read public keys; raises `EnvironmentSettingError`, which shows none of them."""
    import pyrage  # noqa: PLC0415 - only who encrypts needs it

    found = []
    for number, text in enumerate(texts, start=1):
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError as error:
            shown = f"number {number} of the recipients, which is no public key ({error})"
            expected = "public keys of age (age1…) or SSH (ssh-ed25519 …, ssh-rsa …)"
            raise EnvironmentSettingError(_RECIPIENTS, shown, expected) from error
    return found


def encrypt(plain: Any, target: Any, recipients: Recipients) -> None:  # noqa: ANN401 - open files
    """Encrypt all that is in a file, for each of the recipients."""
    import pyrage  # noqa: PLC0415

    plain.seek(0)
    pyrage.encrypt_io(plain, target, recipients)


@contextmanager
def as_plain(
    archive: Path, identity: Path | None, *, scratch: Path | None = None
) -> Iterator[Path]:
    """Yield an archive itself, or where it is encrypted a plain copy that is removed at the end.

    Raises `UnusableArchiveError` where the identities in the file `identity` do not open it,
    `IdentityFileError` where there are none in it, `DamagedArchiveError` where it was changed.
    """
    if archive.suffix != _SUFFIX:
        yield archive
        return
    with scratch_folder("decrypt", within=scratch) as folder:
        plain = folder / archive.stem
        _decrypt(archive, plain, identity)
        yield plain


def _decrypt(archive: Path, target: Path, identity: Path | None) -> None:
    import pyrage  # noqa: PLC0415

    if identity is None:
        raise UnusableArchiveError(
            archive,
            "an encrypted backup",
            "the identity of one of its recipients",
            "Name the file that holds it, by --identity or BACKUP_AGE_IDENTITY.",
        )
    identities = _read_identities(identity)
    try:
        with open_archive(archive) as file, target.open("xb") as plain:
            target.chmod(0o600)
            pyrage.decrypt_io(cast("Any", file), plain, identities)
    except pyrage.DecryptError as error:
        raise UnusableArchiveError(
            archive,
            f"a backup that no identity in {identity} opens ({error})",
            "the identity of one of its recipients",
            "Name another identity file, or another backup.",
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        todo = "`streamhub-db backup list` shows what there is."
        raise UnusableArchiveError(archive, "no such file", "a backup", todo) from error
    except OSError as error:
        if error.errno is not None:  # of a file, not of what is in it
            raise
        raise DamagedArchiveError(archive, ["it is cut off, or was changed"]) from error


def _read_identities(path: Path) -> list[x25519.Identity | ssh.Identity]:
    """Read a file as `age-keygen` writes it, or a private key of SSH without a passphrase."""
    import pyrage  # noqa: PLC0415

    try:
        with as_operator(path):
            content = read_regular(path, _MOST_IDENTITY_BYTES)
        if content.startswith(_SSH_KEY):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode("ascii").splitlines()]
        found: list[x25519.Identity | ssh.Identity] = [
            pyrage.x25519.Identity.from_str(it) for it in lines if it and it[0] != "#"
        ]
    except (OSError, IrregularFileError) as error:
        raise IdentityFileError(path, getattr(error, "strerror", None) or str(error)) from error
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise IdentityFileError(path, "a line that is no identity") from error
    if not found:
        raise IdentityFileError(path, "no identity")
    return found
