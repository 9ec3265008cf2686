"""Another e-mail address or phone number of a customer waits for a code.

Revision: 0038
Follows: 0037
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

TABLE = "profile_change"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column(
            "id",
            sa.Uuid(),
            server_default=sa.func.uuidv7(),
            nullable=False,
            comment="another one with each request",
        ),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("field IN ('email', 'phone')", name="ck_profile_change_field"),
        sa.PrimaryKeyConstraint("customer_id", "field", name="pk_profile_change"),
        comment="waits for a code that is computed from it, and not kept",
    )


def downgrade() -> None:
    op.drop_table(TABLE)
