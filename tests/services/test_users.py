"""Users: addresses without case, passwords that are hashes, and who may sign in."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm.errors import (
    EmailError,
    EmailTakenError,
    LastOwnerError,
    PasswordHashError,
    StoredValueError,
    UnknownUserError,
)
from streamhub_orm.global_db import Membership, User
from streamhub_orm.services import emails, passwords, sign_ins, tenants, users
from streamhub_orm.testing.checks import assert_uses_index
from tests.services import stored
from tests.services.node import ask_node
from tests.services.racing import race

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from streamhub_orm import Databases


def insert(session: Session, user_id: str, email: str | None) -> None:
    """Insert a user as the Node core does."""
    statement = sa.text("INSERT INTO users (id, email) VALUES (:id, :email)")
    session.execute(statement, {"id": user_id, "email": email})


def test_create_stores_the_user_as_the_field_does(global_session: Session) -> None:
    user = users.create(global_session, " Ann@Example.org ", name="Ann")
    row = stored.row_of(global_session, User)
    assert user.id.startswith("usr_")
    assert uuid.UUID(user.id.removeprefix("usr_")).version == 4
    assert (row["id"], row["email"], row["name"]) == (user.id, "ann@example.org", "Ann")
    assert (row["status"], row["is_superadmin"], row["password_hash"]) == ("active", 0, None)
    assert users.get(global_session, user.id) is user


@pytest.mark.parametrize("email", ["ann@example.org", "ANN@EXAMPLE.ORG", " Ann@example.org\n"])
def test_user_is_found_by_email_in_any_case(global_session: Session, email: str) -> None:
    user = users.create(global_session, "Ann@Example.org")
    assert users.find_by_email(global_session, email) is user


@pytest.mark.parametrize(
    "email", ["bob@example.org", "", "ann@example.org.", "%", "ann@example_org"]
)
def test_user_is_not_found_by_another_email(global_session: Session, email: str) -> None:
    users.create(global_session, "ann@example.org")
    insert(global_session, "u-0", None)
    assert users.find_by_email(global_session, email) is None


TRIMMED = ["\ufeffAnn@x.example\u00a0", "\u2028Ann@x.example\u3000", "\x85Ann@x.example"]
NODE_NORMAL = """
const made = JSON.parse(process.argv[1]).map((email) => email.trim().toLowerCase());
process.stdout.write(JSON.stringify(made));
"""


def test_normal_form_is_that_of_node() -> None:
    """Reference, Access: e-mail trimmed, Unicode lower case."""
    given = [*TRIMMED, " É@X.example", "ΣΑΣ@x.example", "İ@x.example", "ẞ@x.example", "\x1cA@x"]
    assert json.loads(ask_node(NODE_NORMAL, json.dumps(given))) == [
        emails.normal(it) for it in given
    ]


ODD = ["É@x.example", "É@X.EXAMPLE", " é@x.example", "é@x.example\t", "\ufeffÉ@x.example"]


@pytest.mark.parametrize("email", ODD)
def test_row_that_the_core_never_finds_is_found_and_taken(
    global_session: Session, email: str
) -> None:
    """Reference, Access: a stored 'É@x' is never found by the core."""
    insert(global_session, "odd", email)
    insert(global_session, "other", "è@x.example")
    for asked in ("é@x.example", " É@X.example "):
        found = users.find_by_email(global_session, asked)
        assert found is not None
        assert found.id == "odd"
    with pytest.raises(EmailTakenError):
        users.create(global_session, "É@x.example")


def test_row_that_the_core_finds_comes_before_an_odd_one(global_session: Session) -> None:
    insert(global_session, "odd", "É@x.example")
    insert(global_session, "plain", "é@x.example")
    found = users.find_by_email(global_session, "É@x.example")
    assert found is not None
    assert found.id == "plain"


def test_address_that_is_no_utf_8_keeps_nobody_from_being_found(global_session: Session) -> None:
    insert(global_session, "ann", " ann@example.org")
    insert(global_session, "bad", "x")
    spoil = "UPDATE users SET email = CAST(x'e940ff' AS TEXT) WHERE id = 'bad'"
    global_session.execute(sa.text(spoil))
    found = users.find_by_email(global_session, "ann@example.org")
    assert found is not None
    assert found.id == "ann"
    assert users.find_by_email(global_session, "nobody@example.org") is None


def test_of_several_with_one_email_the_first_is_found(global_session: Session) -> None:
    """The Node core's rows may differ by case alone."""
    for user_id, email in (("z", "Ann@example.org"), ("a", "ann@example.org")):
        insert(global_session, user_id, email)
    found = users.find_by_email(global_session, "ann@example.org")
    assert found is not None
    assert found.id == "z"


def test_find_by_email_searches_its_index(global_session: Session) -> None:
    statement, index = users._FIND_BY_EMAIL, "idx_users_email_nocase"
    assert_uses_index(global_session, statement, index, {"email": "x@y"})


@pytest.mark.parametrize("email", ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "x@" + "y" * 260])
def test_create_with_what_is_no_email_is_refused(global_session: Session, email: str) -> None:
    with pytest.raises(EmailError):
        users.create(global_session, email)
    assert users.list_(global_session) == []


def test_create_with_an_email_that_is_taken_is_refused(global_session: Session) -> None:
    user = users.create(global_session, "ann@example.org")
    with pytest.raises(EmailTakenError) as caught:
        users.create(global_session, "ANN@example.org")
    assert caught.value.user_id == user.id


CREATE = """
from streamhub_orm.errors import EmailTakenError
from streamhub_orm.services import users
try:
    databases.global_session().run(users.create, "ann@example.org")
    print("made")
except EmailTakenError:
    print("taken")
"""


def test_create_by_several_processes_makes_one_user(databases: Databases) -> None:
    outcomes = race(CREATE, databases)
    assert outcomes == ["made", "taken", "taken", "taken"]


def test_update_of_the_email_to_another_case_of_ones_own_is_done(global_session: Session) -> None:
    ann = users.create(global_session, "ann@example.org")
    bob = users.create(global_session, "bob@example.org")
    users.update(global_session, ann.id, email="Ann@Example.org")
    assert ann.email == "ann@example.org"
    with pytest.raises(EmailTakenError):
        users.update(global_session, bob.id, email="ANN@example.org")
    with pytest.raises(UnknownUserError):
        users.update(global_session, "nobody", email="x@example.org")


def test_update_changes_what_is_given_and_nothing_else(global_session: Session) -> None:
    ann = users.create(global_session, "ann@example.org", name="Ann", is_superadmin=True)
    users.update(global_session, ann.id, name=None, status="pending")
    row = stored.row_of(global_session, User)
    assert (row["name"], row["status"]) == (None, "pending")
    assert (row["email"], row["is_superadmin"]) == ("ann@example.org", 1)


@pytest.mark.parametrize("text", ["secret", "", "scrypt$32768$8$1$00$00"])
def test_password_that_is_not_hashed_is_refused_unshown(global_session: Session, text: str) -> None:
    user = users.create(global_session, "ann@example.org")
    with pytest.raises(PasswordHashError) as of_update:
        users.update(global_session, user.id, name="Ann", password_hash=text)
    with pytest.raises(PasswordHashError) as of_create:
        users.create(global_session, "bob@example.org", password_hash=text)
    assert not text or text not in f"{of_update.value} {of_create.value}"
    assert user.name is None
    assert global_session.scalars(sa.select(User.password_hash)).all() == [None]


def test_authenticate_takes_the_right_password_only(databases: Databases) -> None:
    hashed = passwords.hash_("correct horse")
    with databases.global_session() as session:
        user_id = users.create(session, "Ann@example.org", password_hash=hashed).id
        users.create(session, "bob@example.org")
    found = users.authenticate(databases, "ann@EXAMPLE.org", "correct horse")
    assert found is not None
    assert (found.id, found.email) == (user_id, "ann@example.org")
    assert "scrypt" not in repr(found)
    for email, password in (
        ("ann@example.org", "wrong"),
        ("bob@example.org", ""),
        ("nobody@example.org", "correct horse"),
    ):
        assert users.authenticate(databases, email, password) is None


def test_authenticate_after_the_password_was_taken_away_is_none(databases: Databases) -> None:
    hashed = passwords.hash_("correct horse")
    with databases.global_session() as session:
        user = users.create(session, "ann@example.org", password_hash=hashed)
        users.update(session, user.id, password_hash=None)
    assert users.authenticate(databases, "ann@example.org", "correct horse") is None


@pytest.mark.parametrize(("status", "comes_in"), [("pending", False), ("disabled", True)])
def test_only_pending_blocks_a_password_login(
    databases: Databases, status: str, *, comes_in: bool
) -> None:
    """Reference, Access: only pending blocks a password login."""
    with databases.global_session() as session:
        user = users.create(session, "ann@example.org")
        user.password_hash, user.status = passwords.hash_("correct horse"), status
    found = users.authenticate(databases, "ann@example.org", "correct horse")
    assert (found is not None) is comes_in


def test_status_that_would_keep_nobody_out_is_not_written(global_session: Session) -> None:
    """Reference, Access: status active or pending."""
    user = users.create(global_session, "ann@example.org")
    with pytest.raises(StoredValueError, match="active or pending"):
        users.update(global_session, user.id, name="Ann", status="disabled")
    with pytest.raises(StoredValueError):
        users.create(global_session, "bob@example.org", status="")
    assert (user.status, user.name) == ("active", None)
    assert len(users.list_(global_session)) == 1


def test_password_makes_a_user_active(global_session: Session) -> None:
    """Reference, Access: setting one makes the user active."""
    user = users.create(global_session, "ann@example.org", status=users.PENDING)
    users.update(global_session, user.id, password_hash=None)
    assert user.status == "pending"
    users.update(global_session, user.id, password_hash=passwords.unknown_hash())
    assert user.status == "active"
    hashed = passwords.unknown_hash()
    users.update(global_session, user.id, password_hash=hashed, status=users.PENDING)
    assert user.status == "pending"


def test_authenticate_holds_no_session_while_it_hashes(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer gets the lock at once, in the midst of it."""
    real = hashlib.scrypt
    written = []

    def writing(*arguments: bytes, **rest: int) -> bytes:
        with databases.global_session() as session:
            written.append(users.create(session, "bob@example.org").id)
        return real(*arguments, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "scrypt", writing)
    assert users.authenticate(databases, "ann@example.org", "correct horse") is None
    assert len(written) == 1


def test_delete_takes_memberships_along_and_ends_the_sessions(databases: Databases) -> None:
    with databases.global_session() as session:
        ann = users.create(session, "ann@example.org")
        bob = users.create(session, "bob@example.org")
        team = tenants.create(session, "Team", ann.id)
        session.add(Membership(user_id=bob.id, tenant_id=team.id))
        signed_in = sign_ins.create(session, bob)
        team_id, bob_id, session_id = team.id, bob.id, signed_in.id
    with databases.global_session() as session:
        users.delete(session, bob_id)
    with databases.global_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Membership)) == 1
        (left,) = sign_ins.list_(session, bob_id, with_revoked=True)
        assert left.id == session_id
        assert left.revoked_at is not None
        with pytest.raises(LastOwnerError, match=team_id):
            users.delete(session, session.scalars(sa.select(User.id)).one())
        with pytest.raises(UnknownUserError, match="found no user"):
            users.delete(session, bob_id)


def test_list_is_in_order_of_the_address(global_session: Session) -> None:
    for email in ("bob@example.org", "Ann@example.org"):
        users.create(global_session, email)
    insert(global_session, "u-0", None)
    listed = [user.email for user in users.list_(global_session)]
    assert listed == [None, "ann@example.org", "bob@example.org"]
