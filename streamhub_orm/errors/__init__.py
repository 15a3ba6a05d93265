"""Every error this package raises on purpose: one tree, data as attributes.

A message names the file, says what was found and what was expected, and ends with what to do.
`exit_code` is the exit status that a command ends with when the error stops it as a whole:
3 means that nothing was touched.
"""

from streamhub_orm.errors.apps import AppBusyError, AppExistsError, AppFolderTakenError
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
    RollbackError,
    UnforeseenError,
    UpgradeRunningError,
)
from streamhub_orm.errors.settings import (
    ConfigFileError,
    MissingSecretError,
    SecretsFileError,
    SettingsError,
)
from streamhub_orm.errors.storage import (
    ChecksumMismatchError,
    MissingBucketError,
    MissingObjectError,
    ObjectExistsError,
    ObjectKeyError,
    StorageError,
    StoreDeniedError,
    StoreFaultError,
    StoreUnreachableError,
)

__all__ = [
    "AppBusyError",
    "AppExistsError",
    "AppFolderTakenError",
    "AppNameError",
    "AppsInUseError",
    "BackupError",
    "ChecksumMismatchError",
    "ConfigFileError",
    "CorruptDatabaseError",
    "DataDirError",
    "DataLossError",
    "DatabaseFileError",
    "DatabasesClosedError",
    "DemoTargetError",
    "DiskError",
    "ForkedInSessionError",
    "InterruptedWriteError",
    "LockedDatabaseError",
    "MigrationFailedError",
    "MissingBucketError",
    "MissingDatabaseError",
    "MissingObjectError",
    "MissingSecretError",
    "NewerDatabaseError",
    "NotADatabaseError",
    "ObjectExistsError",
    "ObjectKeyError",
    "ReadOnlyDatabaseError",
    "RollbackError",
    "SchemaOutdatedError",
    "SecretsFileError",
    "SettingsError",
    "SpaceError",
    "StorageError",
    "StoreDeniedError",
    "StoreFaultError",
    "StoreUnreachableError",
    "StoredValueError",
    "StreamHubError",
    "UnadoptedDatabaseError",
    "UnforeseenError",
    "UnknownAppError",
    "UnknownRevisionError",
    "UnknownStructureError",
    "UpgradeRunningError",
]
