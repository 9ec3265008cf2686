"""Who was erased while an import was under way is not brought back by it.

Revision: 0032
Follows: 0031
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "import",
        sa.Column(
            "forgotten",
            ARRAY(sa.Text()),
            nullable=False,
            server_default="{}",
            comment="marks of references whose customers were erased meanwhile: their rows are not merged",
        ),
    )


def downgrade() -> None:
    op.drop_column("import", "forgotten")
