"""Rows to test with: the services' own functions, with a value for all that a test cares not for.

Each call makes another row. What is given goes to the service as it is.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.app_db import StreamType, VodStatus
from streamhub_orm.services import ingress as ingresses
from streamhub_orm.services import memberships, passwords, streams, tenants, tokens, users, vods

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm.app_db import Stream
    from streamhub_orm.global_db import Role, Tenant, User
    from streamhub_orm.services.ingress import Ingress
    from streamhub_orm.services.tokens import IssuedToken
    from streamhub_orm.services.vods import VodRow

__all__ = [
    "add_ingress",
    "add_member",
    "add_stream",
    "add_tenant",
    "add_token",
    "add_user",
    "add_vod",
]

_NUMBERS: Final = itertools.count(1)
_STEPS: Final = {
    VodStatus.RECORDING: (),
    VodStatus.UPLOADING: (VodStatus.UPLOADING,),
    VodStatus.READY: (VodStatus.UPLOADING, VodStatus.READY),
    VodStatus.FAILED: (VodStatus.FAILED,),
}
"""The ways of a recording from its beginning."""


def add_user(session: Session, *, password: str | None = None, **columns: Any) -> User:
    """Add a user to the global database; hashing a password takes 0.1 s."""
    hashed = None if password is None else passwords.hash_(password)
    email = columns.pop("email", f"user-{next(_NUMBERS)}@example.org")
    return users.create(session, email, password_hash=hashed, **columns)


def add_tenant(session: Session, *, owner: User | None = None, **columns: Any) -> Tenant:
    """Add a tenant with its quota and its owner to the global database."""
    name = columns.pop("name", f"Tenant {next(_NUMBERS)}")
    return tenants.create(session, name, (owner or add_user(session)).id, **columns)


def add_member(session: Session, tenant: Tenant, role: Role, user: User | None = None) -> User:
    """Make a user, by default a new one, a member of a tenant."""
    member = user or add_user(session)
    memberships.add(session, tenant.id, member.id, role)
    return member


def add_token(session: Session, **options: Any) -> IssuedToken:
    """Add an API token to the global database: of the whole server, or of an `app`."""
    name = options.pop("name", f"token {next(_NUMBERS)}")
    return tokens.issue(session, name, **options)


def add_vod(session: Session, *, status: VodStatus = VodStatus.READY, **columns: Any) -> VodRow:
    """Add a recording to the session's app, in any status that one can come to."""
    number = next(_NUMBERS)
    defaults = {"name": f"Recording {number}", "file_key": f"recordings/{number}.mp4"}
    made = vods.create(session, **{**defaults, **columns})
    for step in _STEPS[status]:
        vods.set_status(session, made.id, step)
    return vods.get(session, made.id)


def add_stream(session: Session, *, ended: bool = False, **columns: Any) -> Stream:
    """Add a stream to the session's app, active or ended."""
    defaults = {"room": "stage", "participant": f"p-{next(_NUMBERS)}", "type": StreamType.WEBRTC}
    given = {**defaults, **columns}
    row_id = streams.upsert(session, **given)
    if ended:
        streams.end_by_id(session, row_id, now=given.get("now"))
    found = streams.find(session, f"{given['room']}/{given['participant']}")
    assert found is not None  # noqa: S101 - it was just written
    return found


def add_ingress(session: Session, *, password: str | None = None, **columns: Any) -> Ingress:
    """Add the credentials of an ingress to the session's app."""
    keys = ingresses.new_ws_keys()
    hashed = None if password is None else ingresses.hash_password(password)
    given = {"ingress_id": keys.ingress_id, "stream_key": keys.stream_key, **columns}
    ingresses.register(session, password=hashed, **given)
    found = ingresses.find(session, given["ingress_id"])
    assert found is not None  # noqa: S101 - it was just written
    return found
