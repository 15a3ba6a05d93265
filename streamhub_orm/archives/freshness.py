"""Freshness: whether each place has a good archive that is young enough, for an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.archives.places import ALL, LOCAL, Places
from streamhub_orm.archives.prune import is_good
from streamhub_orm.archives.stored import archives_in, newest_of
from streamhub_orm.archives.verification import verification_in_words, verified_at
from streamhub_orm.errors import StorageError, StreamHubError
from streamhub_orm.maintenance.report import ArchiveFacts
from streamhub_orm.readable import in_time
from streamhub_orm.schema import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from pathlib import Path

    from streamhub_orm.archives.stored import StoredArchive
    from streamhub_orm.storage import ObjectStore


_NONE: Final = "no complete backup"
_PATIENCE_SECONDS: Final = 4.0
"""Seconds, three times at most, that a bucket has to answer who asks for something else first."""


@dataclass(frozen=True)
class Freshness:
    """The newest complete archive of one place, and what speaks against it."""

    place: str
    """`local` or `s3`."""
    newest: StoredArchive | None = None
    age: timedelta | None = None
    verified_at: datetime | None = None
    """Time at which it was last found good; None where nobody knows."""
    error: str | None = None
    """Why no one can rely on it; None where all is well."""

    is_reached: bool = True
    """False where the place did not answer, or refused."""

    def in_words(self) -> str:
        """Return the newest, its age and its verification in one line; for a place with one."""
        assert self.newest is not None and self.age is not None  # noqa: S101, PT018 - see above
        verification = verification_in_words(self.verified_at)
        return f"{self.newest.name} is {in_time(self.age)} old, {verification}"

    def to_json(self) -> dict[str, Any]:
        """Return one entry of what `backup check --json` prints."""
        return {
            "place": self.place,
            "newest": None if self.newest is None else str(self.newest.name),
            "age_seconds": None if self.age is None else int(self.age.total_seconds()),
            "bytes": None if self.newest is None else self.newest.size_bytes,
            "verified_at": None if self.verified_at is None else self.verified_at.isoformat(),
            "error": self.error,
        }


def check_freshness(
    places: Places, *, place: str = ALL, max_age: timedelta | None = None, verify: bool = False
) -> list[Freshness]:
    """Look at the newest complete archive of the folder and of the bucket, or of one of them.

    One that is older than `max_age` is told as an error, and so are a place without one and a place
    that does not answer. With `verify`, it also has to be good, as `prune_store` means it: every
    file of a local archive is read. Archives with a name from the future count as none.
    """
    good = partial(is_good, identity=places.identity) if verify else None
    look = partial(_look_in, max_age=max_age, is_good=good, now=utc_now())
    outcomes = places.in_each(look, place)
    found = []
    for each in places.names(place):
        outcome = outcomes.get(each, f"no folder {places.folder}")
        if isinstance(outcome, (StorageError, str)):
            is_reached = isinstance(outcome, str)
            found.append(Freshness(each, error=str(outcome), is_reached=is_reached))
        else:
            found.append(Freshness(each, *outcome))
    return found


def survey_environment(data_dir: Path | None, default_dir: Path) -> list[ArchiveFacts]:
    """Survey the places that the environment names; see `Places.find`.

    Settings that are wrong are told in the place of what is there.
    """
    try:
        return survey_archives(Places.find(data_dir, default_dir, None))
    except StreamHubError as error:
        where = error.subject or "BACKUP_*"
        return [ArchiveFacts(LOCAL, where, found=error.found, error=str(error))]
    except OSError as error:  # a folder of root's, to a server that works as another user
        return [ArchiveFacts(LOCAL, str(error.filename), found=error.strerror, error=str(error))]


def survey_archives(places: Places) -> list[ArchiveFacts]:
    """Return what a report tells of the folder and of the bucket; one that fails stops no other."""
    now = utc_now()
    found = places.in_each(_survey, read_seconds=_PATIENCE_SECONDS)
    facts = []
    for place in places.names():
        where = str(places.folder) if place == LOCAL else places.get_bucket().bucket
        outcome = found.get(place, (where, [], None, None))
        if isinstance(outcome, StorageError):
            facts.append(ArchiveFacts(place, where, found=outcome.found, error=str(outcome)))
            continue
        where, archives, newest, verified = outcome
        age = None if newest is None else now - newest.name.taken_at
        facts.append(
            ArchiveFacts(
                place,
                where,
                len(archives),
                sum(it.size_bytes for it in archives),
                None if newest is None else str(newest.name),
                0 if newest is None else newest.size_bytes,
                age,
                None if age is None else in_time(age),
                verified,
                verification_in_words(verified),
                _NONE if newest is None else None,
                _NONE if newest is None else None,
            )
        )
    return facts


def _survey(
    store: ObjectStore,
) -> tuple[str, list[StoredArchive], StoredArchive | None, datetime | None]:
    archives = archives_in(store)
    newest = newest_of(archives)
    verified = None if newest is None else verified_at(store, newest)
    return store.name, archives, newest, verified


def _look_in(
    store: ObjectStore,
    *,
    max_age: timedelta | None,
    is_good: Callable[[ObjectStore, StoredArchive], bool] | None,
    now: datetime,
) -> tuple[StoredArchive | None, timedelta | None, datetime | None, str | None]:
    newest = newest_of(archives_in(store))
    if newest is None:
        return None, None, None, _NONE
    age = now - newest.name.taken_at
    error = None
    if max_age is not None and age > max_age:
        error = f"the newest complete backup is {in_time(age)} old, at most {in_time(max_age)}"
    elif is_good is not None and not is_good(store, newest):
        error = "the newest complete backup is damaged: `streamhub-db backup verify` says where"
    return newest, age, verified_at(store, newest), error
