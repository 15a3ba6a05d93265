"""A session for the length of a block: leased connection, one transaction, closed at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.databases.sessions import HomeSession

if TYPE_CHECKING:
    from types import TracebackType

    from streamhub_orm.databases.open_database import Lease


class SessionBlock:
    """Yields a session that is committed on success and rolled back on error.

    A class, since three nested generators would cost as much as the statement of a look-up.
    """

    __slots__ = ("_lease", "_session", "_transaction")

    def __init__(self, lease: Lease) -> None:
        """Say on what; nothing is taken before the block begins."""
        self._lease = lease

    def __enter__(self) -> HomeSession:
        """Take a connection and begin."""
        lease = self._lease.__enter__()
        try:
            self._session = session = HomeSession(lease.connection, info=lease.info)
            # Begun like this, a commit inside the block ends the session; what only reads may.
            self._transaction = None if lease.read_only else session.begin().__enter__()
        except BaseException:
            lease.__exit__()
            raise
        return session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit or roll back, and give the connection back."""
        try:
            with self._session as session:
                if self._transaction is not None:
                    self._transaction.__exit__(kind, error, traceback)
                elif kind is None and session.is_changed:
                    session.commit()  # SQLite says no; where nothing changed, closing is cheaper
        finally:
            self._lease.__exit__()
