"""What a preset role was last seeded with: what differs from it, a company's administrator decided.

Revision: 0018
Follows: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

COMMENT = "a preset's permissions as they were last seeded"


def upgrade() -> None:
    op.add_column("role", sa.Column("seeded", postgresql.JSONB(), comment=COMMENT))
    # The audit trail knows it: whoever seeded a role wrote down with what.
    op.execute(
        """
        UPDATE role SET seeded = coalesce(
            (SELECT e.after -> 'permissions' FROM audit_event e
             WHERE e.resource = 'role' AND e.resource_id = role.id::text AND e.action = 'role.seeded'
             ORDER BY e.id DESC LIMIT 1),
            CASE WHEN NOT edited THEN permissions END)
        WHERE preset
        """
    )


def downgrade() -> None:
    op.drop_column("role", "seeded")
