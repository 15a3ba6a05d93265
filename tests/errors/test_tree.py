"""Every class of the tree: what it tells, and that it survives a pickle, a copy and a process."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import streamhub_orm
from streamhub_orm import errors
from streamhub_orm.errors import (
    DamagedArchiveError,
    DataLossError,
    LockedDatabaseError,
    MissingExtraError,
    StreamHubError,
    UnknownAppError,
    UpgradeRunningError,
    VodFieldError,
)
from streamhub_orm.errors.promotion import UnheldRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of each kind of field a value that cannot be overlooked where it must not be shown.
VALUES: dict[str, Any] = {
    "str": "HIDDEN-text",
    "str | None": "HIDDEN-text",
    "object": "HIDDEN-value",
    "Path": Path("/HIDDEN/path"),
    "Path | None": Path("/HIDDEN/path"),
    "Path | str": Path("/HIDDEN/path"),
    "Sequence[str]": ["HIDDEN-one", "HIDDEN-two"],
    "Collection[str]": frozenset({"HIDDEN-one", "HIDDEN-two"}),
    "Sequence[UnheldRow]": [UnheldRow("HIDDEN-table", {"id": "HIDDEN-key"}, "column", "no time")],
    "int": 7,
    "int | None": 7,
    "float": 2.5,
    "float | None": 2.5,
    "DatabaseFileError": LockedDatabaseError(Path("/HIDDEN/path"), "HIDDEN-found", "e", "t"),
    "StreamHubError": LockedDatabaseError(Path("/HIDDEN/path"), "HIDDEN-found", "e", "t"),
}
# Words of ours, never of an installation: a metric, a form that was expected, a column, a status.
SHOWN: dict[str, dict[str, Any]] = {
    "HiddenValueError": {"kind": "kind"},
    "StoredValueError": {"kind": "kind"},
    "TooManyLinksError": {"key": "email"},
    "QuotaExceededError": {"metric": "max_apps"},
    "VodFieldError": {"allowed": {"name"}},
    "MaintenanceRunningError": {"work": "purge"},
    "VodStateError": {"status": "ready", "wanted": "failed"},
}
TEXTS = ("found", "expected", "todo", "public_message")


def subclasses(kind: type[StreamHubError]) -> Iterator[type[StreamHubError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def is_base(kind: type[StreamHubError]) -> bool:
    return (kind.__doc__ or "").startswith("Base of ")


def fields_of(kind: type[StreamHubError]) -> dict[str, Any]:
    values = {name: VALUES[field.annotation] for name, field in signature(kind).parameters.items()}
    return values | SHOWN.get(kind.__name__, {})


TREE = sorted(
    {kind for kind in subclasses(StreamHubError) if kind.__module__.startswith("streamhub_orm.")},
    key=lambda kind: kind.__name__,
)
RAISED = [kind for kind in TREE if not is_base(kind)]


@pytest.fixture(params=RAISED, ids=lambda kind: kind.__name__)
def error(request: pytest.FixtureRequest) -> StreamHubError:
    kind: type[StreamHubError] = request.param
    return kind(*fields_of(kind).values())


def test_every_class_has_its_place_in_the_tree() -> None:
    """One home, all of it exported in order, and a docstring that says when each is raised."""
    for module in pkgutil.walk_packages(streamhub_orm.__path__, "streamhub_orm."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = [
        kind for kind in subclasses(StreamHubError) if kind.__module__.startswith("streamhub_orm.")
    ]
    assert {kind.__module__.rpartition(".")[0] for kind in kinds} == {"streamhub_orm.errors"}
    assert errors.__all__ == sorted({kind.__name__ for kind in kinds} | {"StreamHubError"})
    for kind in kinds:
        assert (kind.__doc__ or "").startswith(("Raised when ", "Raised for ", "Base of ")), kind


def test_every_text_is_there_and_filled_in(error: StreamHubError) -> None:
    for name in TEXTS:
        text = getattr(error, name)
        assert isinstance(text, str)
        assert text.strip()
        assert not {"{", "}"} & set(text)
    assert not {"{", "}"} & set(error.subject)


def test_message_holds_what_was_found_and_expected_and_what_to_do(error: StreamHubError) -> None:
    message = str(error)
    assert error.found in message
    assert error.expected in message
    assert error.subject in message
    if not isinstance(error, errors.StoredValueError):
        assert message.endswith(f". {error.todo}")
    assert repr(error) == f"{type(error).__name__}({message!r})"


def test_what_it_is_made_with_are_its_attributes(error: StreamHubError) -> None:
    for name, value in fields_of(type(error)).items():
        found = getattr(error, name)
        if isinstance(value, list | set | frozenset):
            assert found == tuple(sorted(value))
        else:
            assert found == value


def test_made_by_name_it_is_the_same(error: StreamHubError) -> None:
    by_name = type(error)(**fields_of(type(error)))
    assert (str(by_name), by_name.args) == (str(error), error.args)


def pickled(error: StreamHubError) -> object:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_and_pickles_to_itself(
    error: StreamHubError, copied: Callable[[StreamHubError], object]
) -> None:
    """With what was added to it since, and whatever its cause was."""
    error.__cause__ = OSError("no room")
    error.add_note("a note")
    other = copied(error)
    assert isinstance(other, type(error))
    assert str(other) == str(error)
    assert [getattr(other, name) for name in TEXTS] == [getattr(error, name) for name in TEXTS]
    assert vars(other).keys() == vars(error).keys()
    for name, value in vars(error).items():
        assert str(getattr(other, name)) == str(value), name
    assert other.__notes__ == ["a note"]


def test_public_message_shows_nothing_of_the_installation(error: StreamHubError) -> None:
    """No path, no name, no refused value: only words of ours and numbers."""
    assert "HIDDEN" not in error.public_message


def test_renamed_subject_is_told_by_the_message() -> None:
    error = LockedDatabaseError(Path("/data/copy.tmp"), "a lock", "none", "Wait.")
    error.path = Path("/data/app.db")
    assert str(error) == "/data/app.db: found a lock; expected none. Wait."
    assert str(copy.copy(error)) == str(error)
    assert str(pickled(error)) == str(error)


@pytest.mark.parametrize(
    ("given", "named", "told"),
    [
        ((), {}, "missing a required argument: 'lock_path'"),
        ((Path("lock"), "a", "b"), {}, "too many positional arguments"),
        ((Path("lock"), "a"), {"holder": "b"}, "multiple values for argument 'holder'"),
        ((Path("lock"),), {"owner": "b"}, "missing a required argument: 'holder'"),
    ],
)
def test_constructor_refuses_what_does_not_fit_the_fields(
    given: tuple[Any, ...], named: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        UpgradeRunningError(*given, **named)


def test_long_lists_are_cut() -> None:
    error = DataLossError(Path("app.db"), [f"row {number}" for number in range(20)])
    assert "row 11; and 8 more" in str(error)
    assert "row 12" not in str(error)
    assert len(error.losses) == 20


def test_braces_in_what_was_found_stay_as_they_are() -> None:
    assert DamagedArchiveError("{archive}", ["{faults}", "{0}"]).found == "{faults}; {0}"


def test_sets_are_kept_in_order() -> None:
    error = VodFieldError({"status", "id"}, frozenset({"room", "name"}))
    assert (error.names, error.allowed) == (("id", "status"), ("name", "room"))


def test_error_of_a_missing_extra_is_an_import_error() -> None:
    module = "streamhub_orm.metrics"
    with pytest.raises(ImportError, match=r"streamhub-orm\[metrics\]"):
        raise MissingExtraError(module, "prometheus-client", extra="metrics")


@pytest.mark.parametrize("others", [0, 5_000])
def test_unknown_app_is_told_the_names_that_are_like_it(others: int) -> None:
    """Three at most, however many others there are, and to an operator only."""
    known = ["live", "tv-2", "news-24", "news-25", *(f"room-{it:05d}" for it in range(others))]
    error = UnknownAppError("news-23", Path("/data/streamhub.db"), known)
    assert set(error.near) == {"news-24", "news-25"}
    assert "(similar names: news-25, news-24)" in str(error)
    assert "live" not in str(error)
    assert error.public_message == "There is no such app."
    assert "similar names: none" in str(UnknownAppError("zzz", Path("g.db"), known))


def fail(kind: type[StreamHubError], fields: dict[str, Any]) -> None:
    raise kind(**fields) from OSError(28, "No space left on device")


def test_worker_process_can_raise_every_one_of_them() -> None:
    """An error that could not be unpickled here would break the pool for all that come after."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for kind in RAISED:
            fields = fields_of(kind)
            raised = pool.submit(fail, kind, fields).exception()
            assert type(raised) is kind
            assert str(raised) == str(kind(**fields))
