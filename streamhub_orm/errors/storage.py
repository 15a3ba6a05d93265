"""Errors about object stores. Each names the store and the key, none a credential."""

from __future__ import annotations

from streamhub_orm.errors.base import StreamHubError


class StorageError(StreamHubError):
    """An object store did not do what it was asked; nothing was left half-done."""

    def __init__(self, store: str, key: str, found: str, expected: str, todo: str) -> None:
        """Keep the store (endpoint and bucket, or folder), the key and the usual three.

        `key` is empty where the error is about the store as a whole.
        """
        super().__init__(store, key, found, expected, todo)
        self.store = store
        self.key = key
        self.found = found
        self.expected = expected
        self.todo = todo

    def __str__(self) -> str:
        """Name the object, what was found, what was expected and what to do."""
        place = f"{self.store}/{self.key}" if self.key else self.store
        return f"{place}: found {self.found}; expected {self.expected}. {self.todo}"


class StoreUnreachableError(StorageError):
    """No answer came, or the connection broke, also after the retries."""

    def __init__(self, store: str, key: str, found: str) -> None:
        """Keep what the connection ended with."""
        todo = "Check the endpoint, the network and whether the store runs, then try again."
        super().__init__(store, key, found, "an answer of the store", todo)


class StoreDeniedError(StorageError):
    """The store knows the keys not, or they do not allow this."""

    def __init__(self, store: str, key: str, code: str) -> None:
        """Keep the store's own code for the refusal."""
        expected = "keys that the store accepts for this"
        todo = "Check the access key, the secret key, the region and what the keys may do."
        super().__init__(store, key, f"a refusal ({code})", expected, todo)


class MissingBucketError(StorageError):
    """The bucket, or the folder of a local store, is not there."""

    def __init__(self, store: str) -> None:
        """Keep the store."""
        todo = "Create it, or correct its name."
        super().__init__(store, "", "no such bucket or folder", "one that exists", todo)


class MissingObjectError(StorageError):
    """There is no object of this key."""

    def __init__(self, store: str, key: str) -> None:
        """Keep the store and the key."""
        super().__init__(store, key, "no such object", "one that exists", "Check the key.")


class ObjectExistsError(StorageError):
    """There is an object of this key, and the caller asked not to replace one."""

    def __init__(self, store: str, key: str) -> None:
        """Keep the store and the key."""
        todo = "Name another key, or delete the object first."
        super().__init__(store, key, "an object that is there already", "none", todo)


class ChecksumMismatchError(StorageError):
    """The bytes are not those whose SHA-256 is known: cut short, damaged or changed meanwhile."""


class ObjectKeyError(StorageError):
    """The key is none that a store takes; it may lead out of a local store's folder."""

    def __init__(self, store: str, key: object, reason: str) -> None:
        """Keep the key and what is wrong with it."""
        expected = "1 to 1024 bytes of UTF-8 in segments other than '.' and '..'"
        super().__init__(store, "", f"the key {key!r} ({reason})", expected, "Correct the key.")
        self.key = str(key)


class StoreFaultError(StorageError):
    """The store, or a file here that it reads or writes, answered with another fault."""

    def __init__(self, store: str, key: str, found: str) -> None:
        """Keep the fault in the store's own words."""
        todo = "See to the fault, then try again."
        super().__init__(store, key, found, "the request to be carried out", todo)
