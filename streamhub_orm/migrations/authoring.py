"""Write the next revision file of a history; for migration authors, in a checkout."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from streamhub_orm.errors import NoCheckoutError

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World


def write_revision(world: World, message: str, *, autogenerate: bool = False) -> Path:
    """Write `<next id>_<message>.py` and return its path; ids count on, as g0015 after g0014.

    With `autogenerate` it begins with what Alembic finds different between the models and a
    database at head. Raises `NoCheckoutError` outside a checkout.
    """
    ini = world.folder.parent / "alembic.ini"
    if not ini.is_file():
        raise NoCheckoutError(world.folder)
    section = "alembic" if world.name == "global" else world.name
    number = int(world.head[1:]) + 1
    # Alembic prints what it writes on stdout, which belongs to the caller.
    silent = Namespace(quiet=True)
    script = command.revision(
        Config(str(ini), ini_section=section, cmd_opts=silent),
        message=message,
        autogenerate=autogenerate,
        rev_id=f"{world.head[0]}{number:04d}",
    )
    return Path(script.path)  # type: ignore[union-attr]
