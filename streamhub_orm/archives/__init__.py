"""Archives of a whole installation: create, list, verify, prune, restore, and undo a restore.

An archive is one .tar.gz in a folder or a bucket. The copy beside a single database file, which is
made before that file is changed, is a backup: see `streamhub_orm.engine.backups`.
"""

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.places import Places, list_archives
from streamhub_orm.archives.prune import prune_archives
from streamhub_orm.archives.restore import fetch_and_restore, restore_archive, undo_restore
from streamhub_orm.archives.verify import verify_archive

__all__ = [
    "Places",
    "create_archive",
    "fetch_and_restore",
    "list_archives",
    "prune_archives",
    "restore_archive",
    "undo_restore",
    "verify_archive",
]
