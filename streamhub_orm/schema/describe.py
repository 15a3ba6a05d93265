"""How a row shows itself in logs and tracebacks, where secrets must not go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.orm import InstanceState


def describe(row: object, names: tuple[str, ...] = ()) -> str:
    """Return `<Class name=value …>` of the named attributes, by default of the primary key.

    It never touches the database: what is not loaded is left out.
    """
    state: InstanceState[object] = sa.inspect(row, raiseerr=True)
    mapper = state.mapper
    key_names = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    known = dict(zip(key_names, state.identity or (), strict=False)) | state.dict
    shown = [f"{name}={known[name]!r}" for name in names or key_names if name in known]
    return f"<{' '.join([type(row).__name__, *shown])}>"
