"""Further units of a person, each from one day to another.

Revision: 0020
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = "unit_membership"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("during", postgresql.DATERANGE(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_unit_membership_user_id_user_account"),
        sa.ForeignKeyConstraint(["unit_id"], ["org_unit.id"], name="fk_unit_membership_unit_id_org_unit"),
        sa.UniqueConstraint("id", name="uq_unit_membership_id"),
    )
    op.execute(
        "ALTER TABLE unit_membership ADD CONSTRAINT pk_unit_membership"
        " PRIMARY KEY (user_id, unit_id, during WITHOUT OVERLAPS)"
    )
    op.create_index("ix_unit_membership_unit_id", TABLE, ["unit_id"])


def downgrade() -> None:
    op.drop_table(TABLE)
