"""Index what the Node core asks most often and had to search for.

- `idx_ingress_auth_stream_key`: which ingress a publisher's stream key belongs to.
- `idx_vods_egress`: which recording an egress writes. Partial, WHERE json_valid(metatags_json): the
  bare expression raises "malformed JSON" on CREATE INDEX and on INSERT for one bad row, and no row
  may stop an upgrade or a write. The price: a query must say json_valid(metatags_json) too. See
  docs/adr/0004-egress-index.md.
- `idx_vods_in_progress`: `WHERE stream_id = ? AND status = 'recording' ORDER BY id DESC LIMIT 1`.
  Partial: the rows that are done, nearly all, are not in it (inserting takes 5 % longer, with the
  full index on the same columns 46 %). The status stands in the key too, though it is always the
  same: without it, and without statistics, SQLite finds idx_vods_stream as good and takes whichever
  was created later. As it is, SQLite 3.40 uses it with statistics and without, where status is a
  literal and where it is a bound parameter; bound, the statement is prepared anew at each run
  (3 to 5 microseconds), so our own query writes the literal.

No column changes, so the Node core opens the file as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "a0009"
down_revision = "a0008"
branch_labels = None
depends_on = None

user_version: int = 8


def upgrade() -> None:
    """Create the three indices."""
    op.create_index("idx_ingress_auth_stream_key", "ingress_auth", ["stream_key"])
    op.create_index(
        "idx_vods_egress",
        "vods",
        [sa.text("json_extract(metatags_json, '$.egressId')")],
        sqlite_where=sa.text("json_valid(metatags_json)"),
    )
    op.create_index(
        "idx_vods_in_progress",
        "vods",
        ["stream_id", "status"],
        sqlite_where=sa.text("status = 'recording'"),
    )


def downgrade() -> None:
    """Drop the three indices."""
    op.drop_index("idx_vods_in_progress", table_name="vods")
    op.drop_index("idx_vods_egress", table_name="vods")
    op.drop_index("idx_ingress_auth_stream_key", table_name="ingress_auth")
