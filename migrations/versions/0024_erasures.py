"""Tombstones of persons who were erased; kept answers say whom they are about.

Revision: 0024
Follows: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False, comment="the order of the list"),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("erased_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_erasure")),
    )

    op.add_column(
        "idempotency_key",
        sa.Column(
            "path",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="of the request: it names whom the answer is about",
        ),
    )


def downgrade() -> None:
    op.drop_column("idempotency_key", "path")
    op.drop_table("erasure")
