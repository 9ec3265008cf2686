"""The index that gives a scheme's changes in the order of time.

Revision: 0005
Follows: 0004
"""

from alembic import op

from app.core.migrations import concurrently

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_class_change_scheme_at"


def upgrade() -> None:
    # Concurrently: customers go on being classified while it is made.
    with concurrently(INDEX):
        op.create_index(INDEX, "class_change", ["scheme", "at", "id"], postgresql_concurrently=True, if_not_exists=True)


def downgrade() -> None:
    with concurrently():
        op.drop_index(INDEX, "class_change", postgresql_concurrently=True, if_exists=True)
