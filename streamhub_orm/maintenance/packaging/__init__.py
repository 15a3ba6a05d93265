"""Files with which a system runs the maintenance: units, sysusers.d, tmpfiles.d, man pages."""

from streamhub_orm.maintenance.packaging.files import (
    Services,
    blind_spots,
    differences,
    write_packaging,
)

__all__ = ["Services", "blind_spots", "differences", "write_packaging"]
