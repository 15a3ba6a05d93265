"""The durable files of `streamhub_orm.durable_files`, under the name that they had here."""

from streamhub_orm.durable_files import (
    create_empty,
    file_mode,
    make_folder,
    mark_as_wal,
    publish,
    remove_aliases,
    remove_database,
    remove_leftovers,
    require_no_stray_wal,
    sync,
    take_owner,
    temporary_beside,
)

__all__ = [
    "create_empty",
    "file_mode",
    "make_folder",
    "mark_as_wal",
    "publish",
    "remove_aliases",
    "remove_database",
    "remove_leftovers",
    "require_no_stray_wal",
    "sync",
    "take_owner",
    "temporary_beside",
]
