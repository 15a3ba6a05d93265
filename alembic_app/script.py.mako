"""${message.rstrip(".")}.

Say here what the step changes and why. `streamhub-db history` shows the first line.
"""

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
