"""Rules of a revision file, each with its reason; docs/MIGRATIONS.md tells the same."""

from __future__ import annotations

from typing import Final, NamedTuple

from streamhub_orm.migrations.worlds import CORE_USER_VERSION


class Rule(NamedTuple):
    """What a revision has, and why."""

    expected: str
    why: str


RULES: Final = {
    "folder": Rule(
        "g… in alembic/versions, a… in alembic_app/versions", "Each world has its own history."
    ),
    "python": Rule("a revision file that Python can read", "Alembic imports every one of them."),
    "id": Rule(
        "a file <id>_<slug>.py whose id counts up, as g0015 after g0014",
        "Ids order the history for people, and say which world it is of.",
    ),
    "linear": Rule(
        "one revision after the one before, without branches",
        "A file in the field stands at one revision, and there is one way on.",
    ),
    "batch": Rule(
        "op.add_column, or a rebuild as a0008 does it",
        "Batch mode loses unnamed CHECKs, triggers, indices on expressions, and the id sequence.",
    ),
    "transaction": Rule(
        "statements alone", "One file is one transaction, which the environment begins and ends."
    ),
    "imports": Rule(
        "alembic, sqlalchemy and the standard library",
        "What a model says tomorrow must not change what this step did.",
    ),
    "user-version": Rule(
        f"user_version: int = {CORE_USER_VERSION}",
        "The Node core refuses a file with more, and runs its own steps on one with less.",
    ),
    "draft": Rule("a finished revision", "What is generated is a draft: finish or delete it."),
    "docs": Rule(
        "a docstring", "`streamhub-db history` shows the module's, reviewers read the others."
    ),
    "downgrade": Rule(
        "a downgrade() that undoes the step, or a docstring `Do nothing: …`",
        "Installations go back to the revision that the Node core knows.",
    ),
    "deletes": Rule(
        "a downgrade that keeps every row",
        "What the older schema cannot hold is refused by the environment, by name.",
    ),
    "core": Rule("an upgrade that only adds", "The Node core goes on opening the file."),
    "columns": Rule(
        "a new column that is nullable or has a constant server_default",
        "SQLite adds no other one to a table that holds rows.",
    ),
    "data": Rule(
        "a DATA tuple of statements that may run twice, each executed by upgrade()",
        "Adoption runs them again on files of the Node core that have part of the step.",
    ),
    "json-index": Rule(
        "an index WHERE json_valid(…)", "One row that is no JSON would make the step fail."
    ),
    "names": Rule(
        'an index idx_…, a constraint named op.f("ck_…"), uq_, fk_ or pk_',
        "Names of indices count as structure; the convention must not rename constraints.",
    ),
}
"""What each rule expects, and why; in the order in which what breaks them is told."""
