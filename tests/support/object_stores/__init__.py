"""A real object store for tests: `pytest_plugins` in tests/conftest.py gives its fixtures to all.

`s3_store` is an `S3Store` on a bucket of the test's own in a real SeaweedFS, `local_store` one in a
folder, `object_store` both in turn. `s3_settings` are the settings of the bucket, for what builds
its own store; `seaweedfs` is the server.
"""

from streamhub_orm.testing.seaweedfs import SeaweedFS, start_seaweedfs

__all__ = ["SeaweedFS", "start_seaweedfs"]
