"""Files with which a system runs the maintenance: units, users, man pages, completions."""

from streamhub_orm.maintenance.packaging.files import (
    Services,
    blind_spots,
    differences,
    write_packaging,
)

__all__ = ["Services", "blind_spots", "differences", "write_packaging"]
