"""What people ask for of their data: received, due, decided.

Revision: 0044
Follows: 0043
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

TABLE = "data_request"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="received", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was rejected"),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "file_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="until then the archive is handed out",
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("kind IN ('export', 'erasure')", name="ck_data_request_kind"),
        sa.CheckConstraint(
            "status IN ('received', 'completed', 'rejected', 'cancelled')", name="ck_data_request_status"
        ),
        sa.CheckConstraint("(status = 'received') = (decided_at IS NULL)", name="ck_data_request_decided"),
        sa.PrimaryKeyConstraint("customer_id", "id", name="pk_data_request"),
    )
    op.create_index("ix_data_request_id", TABLE, ["id"])
    op.create_index("ix_data_request_due_on", TABLE, ["due_on", "id"])


def downgrade() -> None:
    op.drop_table(TABLE)
