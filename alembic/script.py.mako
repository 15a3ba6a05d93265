"""${message}

Say here what the step changes and why it is needed. The first line is shown by `streamhub-db history`.
"""

# The team's rules for a revision of the global database:
#
# - It is frozen history: import alembic, sqlalchemy and the standard library only, never streamhub_orm.
#   What a model says tomorrow must not change what this step did.
# - Name the file <revision>_<slug>.py; the revision counts up: g0015 follows g0014.
# - Model, revision and test change in one commit. The models describe head.
# - The Node core keeps opening the file: never drop, rename or narrow what it relies on, and leave
#   user_version at 8.
# - Types are TEXT, INTEGER and REAL. Constraint names are final: op.f("ck_table_column"). Index names
#   begin with idx_.
# - Add columns with op.add_column, never in batch mode: its rebuild loses unnamed CHECKs, triggers,
#   expression indices and the id sequence. See a0008 in the app history for a rebuild done by hand.
# - A new column is nullable or has a constant default.
# - Data goes into DATA: SQL that may run twice (insert if absent, update where NULL), one statement a
#   string, executed by upgrade() through op.execute(). Adoption runs it again on files in the field.
# - No row that a file in the field may hold makes the step fail.
# - One file is one transaction: never commit, never use autocommit_block, no PRAGMA user_version.
#   Foreign keys are off, so a cascade has to be spelled out.
# - downgrade() is real and tested. The environment refuses it where rows would be lost.

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

user_version: int = 8

# DATA: tuple[str, ...] = ("UPDATE … WHERE … IS NULL",)


def upgrade() -> None:
    """Say what is there afterwards."""
    ${upgrades if upgrades else 'raise NotImplementedError("write this step, or delete the file")'}


def downgrade() -> None:
    """Undo upgrade(), last step first."""
    ${downgrades if downgrades else 'raise NotImplementedError("write this step, or delete the file")'}
