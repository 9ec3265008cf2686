"""What customers agreed to, per channel and purpose.

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_consent",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "channel IN ('email', 'phone', 'sms', 'wechat', 'post')", name=op.f("ck_customer_consent_channel")
        ),
        sa.CheckConstraint("status IN ('given', 'withdrawn')", name=op.f("ck_customer_consent_status")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_customer_consent")),
    )


def downgrade() -> None:
    op.drop_table("customer_consent")
