"""Credentials of publishers: their keys and passwords. Every session is the app's.

The Node core registers the RTMP ingresses and WebSocket keys that it makes. An ingress without a
row is not governed by any of this, and may publish, unless `strict` is asked for.

Hashing a password takes some 50 ms on purpose. `hash_password` and `Ingress.accepts` do it, outside
of sessions; `validate` puts the steps together so that no lock is held meanwhile.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from streamhub_orm.app_db import IngressAuth
from streamhub_orm.databases.sessions import APP, owner_of_new_row
from streamhub_orm.errors import UnknownIngressError
from streamhub_orm.schema import is_storable, utc_from_text, utc_now
from streamhub_orm.services.core import PointQuery, connection_of, table_of
from streamhub_orm.services.passwords import ScryptCost, scrypt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.databases import Databases

__all__ = [
    "Ingress",
    "IngressPassword",
    "WsKeys",
    "admit",
    "delete",
    "find",
    "find_by_key",
    "hash_password",
    "is_authorised",
    "list_",
    "mark_validated",
    "new_password",
    "new_ws_keys",
    "register",
    "validate",
]

_COST: Final = ScryptCost(16384)
"""Node's defaults, which the Node core hashes these passwords with."""
_HASH_BYTES: Final = 32
_SALT_BYTES: Final = 16
_PASSWORD_BYTES: Final = 12

_TABLE: Final = table_of(IngressAuth)


@dataclass(frozen=True, slots=True)
class IngressPassword:
    """Stored form of a password: hex of its hash, and the salt as hex text."""

    hash: str = field(repr=False)
    salt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WsKeys:
    """The id and the secret key of a WebSocket ingress."""

    ingress_id: str
    stream_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ingress:
    """Credentials of an ingress; a dataclass, since a tuple would show its secrets."""

    ingress_id: str
    app: str
    room: str | None
    stream_key: str | None = field(repr=False)
    password_hash: str | None = field(repr=False)
    password_salt: str | None = field(repr=False)
    requires_password: bool
    validated_at: datetime | None
    created_at: datetime

    @property
    def is_authorised(self) -> bool:
        """True where it may publish now: it needs no password, or has shown it at any time."""
        return not self.requires_password or self.validated_at is not None

    @property
    def ws_identity(self) -> str:
        """The name under which a WebSocket publisher that gives none appears in its room."""
        return f"wscam-{(self.stream_key or '')[-6:]}"

    def admits_to(self, room: str) -> bool:
        """Tell whether its key is good for a room: the one that it was made for, or any."""
        return self.room is None or self.room == room

    def accepts(self, password: str | None) -> bool:
        """Tell, in constant time, whether the password is right, or none is needed.

        An ingress that needs one and has no well-formed hash accepts nothing.
        """
        if not self.requires_password:
            return True
        if password is None or not self.password_hash or not self.password_salt:
            return False
        made = _hashed(password, self.password_salt)
        return hmac.compare_digest(made.encode(), self.password_hash.lower().encode())


# Columns without the model's types: a look-up decodes what it returns itself.
_RAW: Final = sa.table(
    "ingress_auth", *(sa.column(name, sa.Text) for name in Ingress.__dataclass_fields__)
)
_BY_ID: Final = PointQuery(
    sa.select(_RAW).where(_RAW.c.ingress_id == sa.bindparam("ingress_id_")), "ingress_id_"
)
_BY_KEY: Final = PointQuery(
    sa.select(_RAW).where(_RAW.c.stream_key == sa.bindparam("stream_key_")), "stream_key_"
)
_LIST: Final = sa.select(_RAW).order_by(_RAW.c.created_at, _RAW.c.ingress_id)
_VALIDATED: Final = (
    sa.update(_TABLE)
    .where(
        _TABLE.c.ingress_id == sa.bindparam("ingress_id_"),
        _TABLE.c.password_hash == sa.bindparam("hash_"),
        _TABLE.c.password_salt == sa.bindparam("salt_"),
    )
    .values(validated_at=sa.bindparam("now"))
)
_DELETE: Final = sa.delete(_TABLE).where(_TABLE.c.ingress_id == sa.bindparam("ingress_id_"))


def new_ws_keys() -> WsKeys:
    """Make the id and the key of a WebSocket ingress: `wsi_` + 12 hex, `wsk_` + 24 random bytes."""
    return WsKeys(f"wsi_{secrets.token_hex(6)}", f"wsk_{secrets.token_urlsafe(24)}")


def new_password() -> str:
    """Make a password of an ingress: 12 random bytes in base64url."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def hash_password(password: str) -> IngressPassword:
    """Hash a password as the Node core does: the salt is the hex text itself, not its bytes."""
    salt = secrets.token_hex(_SALT_BYTES)
    return IngressPassword(_hashed(password, salt), salt)


def _hashed(password: str, salt: str) -> str:
    return scrypt(password, salt.encode(), _COST, length_bytes=_HASH_BYTES).hex()


def register(  # noqa: PLR0913 - what a row is made of
    session: Session,
    *,
    ingress_id: str,
    app: str | None = None,
    room: str | None = None,
    stream_key: str | None = None,
    password: IngressPassword | None = None,
    now: datetime | None = None,
) -> None:
    """Register an ingress, or give one that is there new credentials.

    With a password it must be shown before the ingress may publish, also where an older one was
    shown before. The time of its first registration stays. `app` is the session's app; another one
    raises `StrayRowError`.
    """
    values = {
        "ingress_id": ingress_id,
        "app": owner_of_new_row(session, APP, app, ingress_id),
        "room": room,
        "stream_key": stream_key,
        "password_hash": None if password is None else password.hash,
        "password_salt": None if password is None else password.salt,
        "requires_password": password is not None,
        "validated_at": None,
    }
    new = insert(_TABLE).values(values | {"created_at": now or utc_now()})
    connection_of(session).execute(
        new.on_conflict_do_update(index_elements=[_TABLE.c.ingress_id], set_=values)
    )


def find(session: Session, ingress_id: str) -> Ingress | None:
    """Return an ingress by its id."""
    return _find(session, _BY_ID, ingress_id)


def find_by_key(session: Session, stream_key: str) -> Ingress | None:
    """Return the ingress that a publisher's stream key belongs to."""
    return _find(session, _BY_KEY, stream_key)


def _find(session: Session, query: PointQuery, key: str) -> Ingress | None:
    row = query.first(session, key) if is_storable(key) else None
    return None if row is None else _made(row)


def list_(session: Session) -> list[Ingress]:
    """Return the app's ingresses in the order they were registered."""
    return [_made(row) for row in connection_of(session).execute(_LIST)]


def _made(row: Sequence[Any]) -> Ingress:
    ingress_id, app, room, stream_key, password_hash, password_salt, *rest = row
    requires_password, validated_at, created_at = rest
    return Ingress(
        ingress_id=ingress_id,
        app=app,
        room=room,
        stream_key=stream_key,
        password_hash=password_hash,
        password_salt=password_salt,
        requires_password=requires_password != 0,  # text that is no number needs one too
        validated_at=None if validated_at is None else utc_from_text(validated_at),
        created_at=utc_from_text(created_at),
    )


def is_authorised(session: Session, ingress_id: str, *, strict: bool = False) -> bool:
    """Tell whether an ingress may publish now.

    One that is not registered may, as in the Node core, but not where `strict` is set
    (`AccessSettings.strict_ingress`).
    """
    found = find(session, ingress_id)
    return not strict if found is None else found.is_authorised


def admit(session: Session, ingress_id: str, *, strict: bool = False) -> bool:
    """Tell whether an ingress that begins to publish may; the row of one that may not is deleted.

    That is what the Node core does. The caller deletes the ingress itself at LiveKit.
    """
    is_let_in = is_authorised(session, ingress_id, strict=strict)
    if not is_let_in and is_storable(ingress_id):
        connection_of(session).execute(_DELETE, {"ingress_id_": ingress_id})
    return is_let_in


def mark_validated(session: Session, ingress: Ingress, *, now: datetime | None = None) -> bool:
    """Note that the password was shown; False where it was changed or deleted meanwhile."""
    values = {
        "ingress_id_": ingress.ingress_id,
        "hash_": ingress.password_hash,
        "salt_": ingress.password_salt,
        "now": now or utc_now(),
    }
    return connection_of(session).execute(_VALIDATED, values).rowcount > 0


def validate(
    databases: Databases,
    app: str,
    ingress_id: str,
    password: str | None,
    *,
    now: datetime | None = None,
) -> bool:
    """Check a password and, where it is right, authorise the ingress; False for an unknown one.

    The password is hashed between two sessions, so that no other writer waits for it.
    """
    with databases.app_session(app, read_only=True) as session:
        ingress = find(session, ingress_id)
    if ingress is None or not ingress.accepts(password):
        return False
    if not ingress.requires_password:
        return True
    with databases.app_session(app) as session:
        return mark_validated(session, ingress, now=now)


def delete(session: Session, ingress_id: str) -> None:
    """Delete an ingress and its credentials; raises `UnknownIngressError`."""
    values = {"ingress_id_": ingress_id}
    if connection_of(session).execute(_DELETE, values).rowcount == 0:
        raise UnknownIngressError(ingress_id)
