"""The transaction of an event: the order in which readers meet every event once, however late it was committed.

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import concurrently

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEX = "ix_outbox_event_transaction_id_id"


def upgrade() -> None:
    # First a constant, which rewrites no row: what was announced so far comes before everything else, by its id.
    op.add_column(
        "outbox_event",
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="of the transaction that announced it: the order in which events are read",
        ),
        if_not_exists=True,
    )
    op.alter_column("outbox_event", "transaction_id", server_default=sa.text("pg_current_xact_id()::text::bigint"))
    with concurrently(INDEX):
        op.create_index(
            INDEX, "outbox_event", ["transaction_id", "id"], postgresql_concurrently=True, if_not_exists=True
        )


def downgrade() -> None:
    with concurrently():
        op.drop_index(INDEX, "outbox_event", postgresql_concurrently=True, if_exists=True)
    op.drop_column("outbox_event", "transaction_id")
