"""Sessions that know whose database they are on, and let no row stray into another's."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapper, Session, object_session

from streamhub_orm.app_db import AppBase
from streamhub_orm.databases.stopping import count_commit
from streamhub_orm.errors import SessionEndedError, StrayRowError
from streamhub_orm.global_db import GlobalBase
from streamhub_orm.retrying import past_conflicts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from sqlalchemy.orm import InstanceState, SessionTransaction

    from streamhub_orm.databases.open_database import Lease

_P = ParamSpec("_P")
_T = TypeVar("_T")

APP, APP_ID = "app", "app_id"
"""Keys of `session.info`: name and registry id of the session's app. Global sessions have none.

They are also the names of the columns in which a row of an app.db says whose it is.
"""
_NAME_OF_APP: Final = "name_of_app"
_HOME: Final = "streamhub_home"
_GLOBAL: Final = "the global database"
_IDENT: Final = "ident"


def app_info(name: str, app_id: int, name_of_app: Callable[[int], str | None]) -> dict[str, Any]:
    """Return the `info` of an app's sessions; `name_of_app` finds the name of a foreign id."""
    return {APP: name, APP_ID: app_id, _NAME_OF_APP: name_of_app, _HOME: f"app {name!r}"}


GLOBAL_INFO: Final[dict[str, Any]] = {_HOME: _GLOBAL}
"""The `info` of sessions on the global database."""


class HomeSession(Session):
    """A session on one database of an installation; `info` says which.

    Refused with `StrayRowError`, when it flushes or commits: a new row that names another app, an
    object that a session on another database loaded, and an object of the other world's models.
    """

    bind: sa.Connection

    def __init__(self, bind: sa.Connection, *, info: dict[str, Any], **options: Any) -> None:  # noqa: ANN401 - Session's
        """Take the connection of one lease; what is loaded can still be read after the end.

        The session itself cannot: its connection may be another's by then.
        """
        super().__init__(
            bind,
            info=info,
            expire_on_commit=False,
            close_resets_only=False,
            join_transaction_mode="control_fully",
            **options,
        )

    @property
    def is_to_be_committed(self) -> bool:
        """True where anything waits to be written. Where it only reads, SQLite will say no."""
        return not self._is_clean()

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:  # noqa: ANN401 - as Session declares it
        """Return the row with this primary key, or None.

        Session's own builds and hashes its select at each call, which costs more than to run it.
        """
        if isinstance(ident, int | str) and not any(options.values()):
            statement = _select_by_key(entity)
            if statement is not None and (entity, (ident,), None) not in self.identity_map:
                return self.scalar(statement, {_IDENT: ident})
        return super().get(entity, ident, **options)

    def begun(self) -> sa.Connection:
        """Return the connection in the session's transaction, for statements of the driver.

        A transaction of the session costs 12 µs, one of the connection 3. So the first is made when
        the session itself is asked for something, and then takes over what was begun here.
        """
        if self._transaction is not None:
            return self.connection()
        if not self.bind.in_transaction():
            self.bind.begin()
        return self.bind

    def in_transaction(self) -> bool:
        """Tell whether a transaction is under way."""
        return super().in_transaction() or self.bind.in_transaction()

    def _autobegin_t(self, begin: bool = False) -> SessionTransaction:  # noqa: FBT001, FBT002 - Session's
        takes_over = self._transaction is None and self.bind.in_transaction()
        transaction = super()._autobegin_t(begin)
        if takes_over:
            self.connection()
        return transaction

    def rollback(self) -> None:
        """Roll back; the next statement begins anew."""
        if self._transaction is None:
            self.bind.rollback()
        super().rollback()

    def close(self) -> None:
        """End, and roll back what was not committed."""
        if self._transaction is None:
            self.bind.rollback()
        super().close()

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Write what is pending; raises `StrayRowError`."""
        _refuse_strays(self)
        super().flush(objects)

    def merge(self, instance: Any, **options: Any) -> Any:  # noqa: ANN401 - as Session declares it
        """Copy an object's state into this session, unless it is another database's."""
        _note_stray(self, instance)
        return super().merge(instance, **options)


class _WritingSession(HomeSession):
    """The session of a block that is one transaction, with which it ends."""

    is_to_be_committed = True

    def begin(self, nested: bool = False) -> SessionTransaction:  # noqa: FBT001, FBT002 - Session's
        """Begin a savepoint: nobody begins, and commits, another transaction inside the block."""
        if not nested:
            self._autobegin_t()
        return super().begin(nested)

    def in_transaction(self) -> bool:
        """Return True: the block is one."""
        return True

    def commit(self) -> None:
        """Commit, and end."""
        if self._transaction is None and self._is_clean():
            _refuse_strays(self)
            self.bind.commit()
            count_commit()
        else:
            super().commit()
        self.__class__ = _EndedSession

    def rollback(self) -> None:
        """Roll back, and end."""
        super().rollback()
        self.__class__ = _EndedSession


class _EndedSession(_WritingSession):
    """A session whose connection may be another's by now."""

    is_to_be_committed = False

    def in_transaction(self) -> bool:
        """Return False."""
        return False

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Forget what was loaded."""
        super(HomeSession, self).close()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise SessionEndedError(self.info[_HOME])

    _autobegin_t = begun = commit = _refuse


class SessionBlock:
    """Yields a session that is committed on success and rolled back on error.

    As a block it cannot be repeated: on a control plane, one that writes may end in
    `TransactionConflictError`, and then has done nothing; `run` repeats a function for that.

    A class, since three nested generators would cost as much as the statement of a look-up.
    """

    __slots__ = ("_lease", "_session")

    def __init__(self, lease: Lease) -> None:
        """Say on what; nothing is taken before the block begins."""
        self._lease = lease

    def __enter__(self) -> HomeSession:
        """Take a connection and begin."""
        lease = self._lease.__enter__()
        try:
            kind = HomeSession if lease.read_only else _WritingSession
            self._session = session = kind(lease.connection, info=lease.info)
        except BaseException:
            lease.__exit__()
            raise
        return session

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit or roll back, and give the connection back."""
        try:
            with self._session as session:
                if kind is None and session.is_to_be_committed:
                    self._lease.require_in_place()
                    session.commit()
        finally:
            self._session.__class__ = _EndedSession
            self._lease.__exit__()

    def run(
        self,
        function: Callable[Concatenate[Session, _P], _T],
        /,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Return `function(session, *args, **kwargs)`, called in a session of its own.

        On a control plane it is called again, up to 12 times in all, in a new session each, where
        another transaction came between: so what it does outside of the session is done again too.
        """

        def work() -> _T:
            with self as session:
                return function(session, *args, **kwargs)

        return past_conflicts(work)


def begun(session: Session) -> sa.Connection:
    """Return the session's connection, in its transaction, for statements of the driver's."""
    return session.begun() if isinstance(session, HomeSession) else session.connection()


@cache
def _select_by_key(entity: Any) -> sa.Select[Any] | None:  # noqa: ANN401 - as Session declares it
    """Return the select of one row of a model; None where that takes more than one value."""
    keys = sa.inspect(entity).primary_key
    return sa.select(entity).where(keys[0] == sa.bindparam(_IDENT)) if len(keys) == 1 else None


def _note_stray(session: Session, row: object) -> None:
    state: InstanceState[Any] = sa.inspect(row)
    home = session.info[_HOME]
    owner = state.info.get(_HOME, home) if state.key is not None else home
    if isinstance(row, AppBase if home == _GLOBAL else GlobalBase):
        owner = "an app" if home == _GLOBAL else _GLOBAL
    if owner != home:
        session.info["stray"] = (repr(row), owner)


def _refuse_strays(session: Session) -> None:
    stray = session.info.get("stray")
    if stray is not None:
        row, owner = stray
        raise StrayRowError(row, owner, session.info[_HOME])


def _count_commit(session: Session) -> None:
    if not session.in_nested_transaction():  # else it is a savepoint's
        count_commit()


def _mark_home(session: Session, row: object) -> None:
    sa.inspect(row).info[_HOME] = session.info[_HOME]


def _claim(_: Mapper[Any], __: sa.Connection, row: AppBase) -> None:
    """Give a new row the app of its session, or refuse it where it names another one."""
    session = object_session(row)
    if session is None or APP not in session.info:
        return
    for column in (APP_ID, APP):
        if hasattr(type(row), column):
            named = getattr(row, column)
            home = owner_of_new_row(session, column, named, row)
            if named is None:
                setattr(row, column, home)


def owner_of_new_row(session: Session, column: str, named: Any, row: object) -> Any:  # noqa: ANN401 - an id or a name
    """Return what a new row holds in `app_id` or `app`: what it named, or its session's app.

    For statements that write rows past the flush. Raises `StrayRowError`, which shows `row`, where
    another app is named. A session that is not of `Databases` has no app; what is named counts.
    """
    home = session.info.get(column, named)
    if named is not None and named != home:
        raise StrayRowError(repr(row), _owner(session, named), session.info[_HOME])
    return home


def _owner(session: Session, named: int | str) -> str:
    name = named if isinstance(named, str) else session.info[_NAME_OF_APP](named)
    return f"app id {named}, which no app has" if name is None else f"app {name!r}"


sa.event.listen(HomeSession, "after_attach", _note_stray)
sa.event.listen(HomeSession, "before_commit", _refuse_strays)
sa.event.listen(HomeSession, "after_commit", _count_commit)
# Only what outlives its session is marked, so a row that is read and dropped costs nothing.
sa.event.listen(HomeSession, "persistent_to_detached", _mark_home)
sa.event.listen(AppBase, "before_insert", _claim, propagate=True)
