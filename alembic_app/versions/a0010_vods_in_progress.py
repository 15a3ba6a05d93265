"""Index a stream's recordings in progress, whether they are recorded or uploaded.

The Node core takes a recording for active while its status is `recording` or `uploading`; the index
of a0009 held only the first. Its rows are found by `WHERE stream_id = ? AND status IN ('recording',
'uploading') ORDER BY id DESC LIMIT 1`, with the two literals: bound, SQLite 3.40 cannot tell that
they are those of the index.

Without statistics SQLite finds idx_vods_stream as good, and takes whichever was created later. So
this one is created last; an import that builds the indices again keeps their order.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0010"
down_revision = "a0009"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Replace the index by one that holds both statuses, under a name of its own.

    Adoption tells revisions apart by the names that each added.
    """
    # lint: core, this index is ours; what the core asks is served by it or by idx_vods_stream
    op.drop_index("idx_vods_in_progress", table_name="vods")
    op.create_index(
        "idx_vods_stream_in_progress",
        "vods",
        ["stream_id"],
        sqlite_where=sa.text("status IN ('recording', 'uploading')"),
    )


def downgrade() -> None:
    """Put back the index of those in status `recording`."""
    op.drop_index("idx_vods_stream_in_progress", table_name="vods")
    op.create_index(
        "idx_vods_in_progress",
        "vods",
        ["stream_id", "status"],
        sqlite_where=sa.text("status = 'recording'"),
    )
