"""${message.rstrip(".")}.

Say here what the step changes and why. `streamhub-db history` shows the first line.
"""

# The team's rules for a revision of a per-app database:
#
# - It is frozen history: import alembic, sqlalchemy and the standard library, never streamhub_orm.
#   What a model says tomorrow must not change what this step did.
# - Name the file <revision>_<slug>.py; the revision counts up: a0010 follows a0009.
# - Model, revision and test change in one commit. The models describe head.
# - The Node core keeps opening the file: never drop, rename or narrow what it relies on, and leave
#   user_version at 8.
# - Types are TEXT, INTEGER and REAL. Constraint names are final, op.f("ck_table_column"); names of
#   indices begin with idx_.
# - Add columns with op.add_column, never in batch mode: its rebuild loses unnamed CHECKs, triggers,
#   expression indices and the id sequence. a0008 is a rebuild done by hand.
# - A new column is nullable or has a constant default.
# - Data goes into DATA, a tuple[str, ...] of SQL that may run twice (insert if absent, update where
#   NULL), one statement a string. upgrade() hands each to op.execute(), and adoption runs them again
#   on files in the field that have part of the step. A colon would begin a parameter: none in them.
# - No row that a file in the field may hold makes the step fail.
# - One file is one transaction: never commit, never use autocommit_block, no PRAGMA user_version.
#   Foreign keys are off, so a cascade has to be spelled out.
# - downgrade() is real and tested. The environment refuses it where rows would be lost.

import sqlalchemy as sa
from alembic import op
% if imports:
${imports}
% endif

revision = "${up_revision}"
down_revision = ${'"%s"' % down_revision if isinstance(down_revision, str) else repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

user_version: int = 8


def upgrade() -> None:
    """Say what is there afterwards."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Undo upgrade(), last step first."""
    ${downgrades if downgrades else "raise NotImplementedError"}
