"""Every error this package raises on purpose: one tree, data as attributes.

A message names the file, says what was found and what was expected, and ends with what to do.
`exit_code` is the exit status that a command ends with when the error stops it as a whole:
3 means that nothing was touched.
"""

from streamhub_orm.errors.base import (
    StoredValueError,
    StreamHubError,
)
from streamhub_orm.errors.files import (
    BackupError,
    CorruptDatabaseError,
    DatabaseFileError,
    DataLossError,
    DiskError,
    InterruptedWriteError,
    LockedDatabaseError,
    MigrationFailedError,
    MissingDatabaseError,
    NewerDatabaseError,
    NotADatabaseError,
    ReadOnlyDatabaseError,
    SchemaOutdatedError,
    SpaceError,
    UnadoptedDatabaseError,
    UnknownStructureError,
)
from streamhub_orm.errors.installation import (
    AppNameError,
    DataDirError,
    DemoTargetError,
    UnknownAppError,
    UnknownRevisionError,
)
from streamhub_orm.errors.runs import (
    AppsInUseError,
    DatabasesClosedError,
    ForkedInSessionError,
    LockFileError,
    RollbackError,
    UnfinishedError,
    UnforeseenError,
    UpgradeRunningError,
)

__all__ = [
    "AppNameError",
    "AppsInUseError",
    "BackupError",
    "CorruptDatabaseError",
    "DataDirError",
    "DataLossError",
    "DatabaseFileError",
    "DatabasesClosedError",
    "DemoTargetError",
    "DiskError",
    "ForkedInSessionError",
    "InterruptedWriteError",
    "LockFileError",
    "LockedDatabaseError",
    "MigrationFailedError",
    "MissingDatabaseError",
    "NewerDatabaseError",
    "NotADatabaseError",
    "ReadOnlyDatabaseError",
    "RollbackError",
    "SchemaOutdatedError",
    "SpaceError",
    "StoredValueError",
    "StreamHubError",
    "UnadoptedDatabaseError",
    "UnfinishedError",
    "UnforeseenError",
    "UnknownAppError",
    "UnknownRevisionError",
    "UnknownStructureError",
    "UpgradeRunningError",
]
