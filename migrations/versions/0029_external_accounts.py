"""People and sessions of an external issuer of tokens.

Revision: 0029
Follows: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "external_account",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="who it is, as the issuer says"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "claimed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the newest token seen was issued",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_external_account_user_id_user_account"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_external_account"),
        sa.UniqueConstraint("user_id", name="uq_external_account_user_id"),
    )
    op.create_table(
        "external_session",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            comment="the issuer's name of the log-in, or of the token, as a hash",
        ),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_external_session_user_id_user_account"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_session.id"],
            name="fk_external_session_session_id_auth_session",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_external_session"),
        sa.UniqueConstraint("session_id", name="uq_external_session_session_id"),
    )


def downgrade() -> None:
    op.drop_table("external_session")
    op.drop_table("external_account")
