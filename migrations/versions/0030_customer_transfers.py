"""In whose hands customers were: each change of owner or unit.

Revision: 0030
Follows: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TABLE = "customer_transfer"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("from_owner_id", sa.Uuid()),
        sa.Column("to_owner_id", sa.Uuid()),
        sa.Column("from_unit_id", sa.Uuid()),
        sa.Column("to_unit_id", sa.Uuid()),
        sa.Column("transfer_id", sa.Uuid(), comment="of the transfer of many that it was part of"),
        sa.Column("transferred_by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "id", name="pk_customer_transfer"),
    )


def downgrade() -> None:
    op.drop_table(TABLE)
