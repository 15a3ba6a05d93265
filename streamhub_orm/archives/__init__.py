"""Archives of a whole installation: create, upload, list, watch, verify, prune, restore, undo.

An archive is one .tar.gz in a folder or a bucket. The copy beside a single database file, which is
made before that file is changed, is a backup: see `streamhub_orm.engine.backups`.
"""

from streamhub_orm.archives.create import create_archive
from streamhub_orm.archives.drill import drill
from streamhub_orm.archives.freshness import (
    check_freshness,
    survey_archives,
    survey_environment,
)
from streamhub_orm.archives.places import Places, list_archives, upload_archive
from streamhub_orm.archives.prune import prune_archives
from streamhub_orm.archives.restore import fetch_and_restore, restore_archive, undo_restore
from streamhub_orm.archives.verify import verify_archive

__all__ = [
    "Places",
    "check_freshness",
    "create_archive",
    "drill",
    "fetch_and_restore",
    "list_archives",
    "prune_archives",
    "restore_archive",
    "survey_archives",
    "survey_environment",
    "undo_restore",
    "upload_archive",
    "verify_archive",
]
