"""Contacts, addresses, and birthdays.

Revision: 0035
Follows: 0034
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def _of_several() -> list[sa.Column[Any]]:
    return [
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "customer_address",
        *_of_several(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text()),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("city", sa.Text()),
        sa.Column("postal_code", sa.Text()),
        sa.Column("region", sa.Text()),
        sa.Column("country", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('billing', 'delivery', 'office', 'store', 'home', 'other')", name=op.f("ck_customer_address_kind")
        ),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_customer_address")),
    )
    op.create_index(
        "uq_customer_address_primary",
        "customer_address",
        ["customer_id", "kind"],
        unique=True,
        postgresql_where=sa.text("is_primary"),
    )
    op.create_table(
        "customer_contact",
        *_of_several(),
        sa.Column("person_id", sa.Uuid(), comment="the contact's own record, if there is one"),
        sa.Column("name", sa.Text()),
        sa.Column("role", sa.Text()),
        sa.Column("since", sa.Date()),
        sa.Column("until", sa.Date()),
        sa.CheckConstraint("until >= since", name=op.f("ck_customer_contact_period")),
        sa.CheckConstraint("name IS NOT NULL OR person_id IS NOT NULL", name=op.f("ck_customer_contact_who")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_customer_contact")),
    )
    op.create_index(op.f("ix_customer_contact_person_id"), "customer_contact", ["person_id"])
    op.create_index(
        "uq_customer_contact_primary",
        "customer_contact",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("is_primary"),
    )
    op.add_column("customer", sa.Column("birthday", sa.Date()))


def downgrade() -> None:
    op.drop_column("customer", "birthday")
    op.drop_table("customer_contact")
    op.drop_table("customer_address")
