"""Worlds: the two kinds of database, and where the history of each lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.script import Script

_PACKAGE: Final = Path(__file__).parents[1]
SERVER_START: Final = "g0014"
"""The revision at which the global history begins on a server."""
START_FILE: Final = f"postgresql_{SERVER_START}.sql"
"""The file in the folder of the global history that holds what a server begins with."""
CORE_USER_VERSION: Final = 8
"""The number of schema steps of the newest Node core; what user_version is after an upgrade."""


@dataclass(frozen=True)
class World:
    """One kind of database with a history of its own."""

    name: str
    """`global` or `app`, the two words for the two worlds everywhere."""
    title: str
    """What such a file is, in words."""
    parity: str
    """The revision that equals what the Node core itself would have made."""
    checkout_folder: str
    foreign_tables: frozenset[str]
    """Tables of an earlier era that stay in such files and count neither as ours nor as drift."""
    first_table: str
    """The table that every file of this kind has from its first step on, and no other kind."""
    late_columns: frozenset[tuple[str, str]]
    """Columns that older cores did not create with their table yet; adoption adds them."""
    known_extras: frozenset[str] = frozenset()
    """Tables and columns that are not ours, but that the Node core reads where somebody made them:
    of no interest to a check."""

    @property
    def folder(self) -> Path:
        """The script folder: inside the installed wheel, else in the checkout."""
        shipped = _PACKAGE / "histories" / self.name
        return shipped if shipped.is_dir() else _PACKAGE.parent / self.checkout_folder

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """Alembic's view of the history, read once per process."""
        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return ScriptDirectory.from_config(config)

    @cached_property
    def history(self) -> tuple[Script, ...]:
        """All revisions, oldest first. The histories are linear."""
        return tuple(reversed(list(self.scripts.walk_revisions())))

    @cached_property
    def head(self) -> str:
        """The newest revision."""
        return self.history[-1].revision

    def knows(self, revision: str) -> bool:
        """Tell whether the history has this revision."""
        return any(script.revision == revision for script in self.history)

    def user_version(self, revision: str | None) -> int:
        """Return the Node core's user_version at a revision; 0 before the first."""
        if revision is None:
            return 0
        return int(self.scripts.get_revision(revision).module.user_version)

    def data_until(self, revision: str) -> Iterator[str]:
        """Yield the idempotent data statements of all revisions up to and with `revision`."""
        for script in self.history:
            yield from getattr(script.module, "DATA", ())
            if script.revision == revision:
                return


GLOBAL: Final = World(
    name="global",
    title="the global database",
    parity="g0013",
    checkout_folder="alembic",
    # Of before the split; and of the first release of accounts, which no later one reads.
    foreign_tables=frozenset({"streams", "vods", "password_resets"}),
    first_table="apps",
    late_columns=frozenset({("magic_tokens", "kind")}),
    known_extras=frozenset({"table quota_usage", "column tenants.quotas_json"}),
)
APP: Final = World(
    name="app",
    title="the database of an app",
    parity="a0008",
    checkout_folder="alembic_app",
    foreign_tables=frozenset(),
    first_table="streams",
    late_columns=frozenset({("vods", "snapshot_key"), ("vods", "metatags_json")}),
)
