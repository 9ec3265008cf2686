"""scheme lifecycle

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.create_table(
        "class_override",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="proposed waits for a second person; ended by time or by hand"
        ),
        sa.Column(
            "period", postgresql.TSTZRANGE(), nullable=True, comment="when it is in force; null before it is approved"
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="null: until somebody ends it"),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True, comment="who approved or rejected"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("customer_id"), "="),
            (sa.column("scheme"), "="),
            (sa.column("period"), "&&"),
            using="gist",
            name="ex_class_override_period",
        ),
        sa.CheckConstraint(
            "(period IS NULL) = (status IN ('proposed', 'rejected'))", name=op.f("ck_class_override_period")
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'rejected', 'active', 'ended')", name=op.f("ck_class_override_status")
        ),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_class_override")),
    )
    op.create_index(
        "ix_class_override_waiting",
        "class_override",
        ["scheme", "customer_id"],
        unique=False,
        postgresql_where=sa.text("status = 'proposed'"),
    )
    op.create_table(
        "prediction",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("estimable", sa.Boolean(), nullable=True, comment="null while it runs"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why nothing can be estimated"),
        sa.Column("population", sa.BigInteger(), nullable=True),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="maximum-likelihood estimates by model, their log-likelihood",
        ),
        sa.Column("position", sa.Uuid(), nullable=True, comment="the last customer written"),
        sa.Column("processed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_prediction_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
    )
    op.create_table(
        "segment_member",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "scheme", name=op.f("pk_segment_member")),
    )
    op.create_index("ix_segment_member_scheme", "segment_member", ["scheme", "customer_id"], unique=False)
    op.create_table(
        "simulation_move",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("simulation_id", sa.Uuid(), nullable=False),
        sa.Column("from_class", sa.Text(collation="C"), nullable=False, comment="empty: in no class"),
        sa.Column("to_class", sa.Text(collation="C"), nullable=False, comment="empty: in no class"),
        sa.Column("monetary", sa.Numeric(precision=20, scale=4), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "simulation_id", name=op.f("pk_simulation_move")),
    )
    op.create_index(
        "ix_simulation_move_simulation_id",
        "simulation_move",
        ["simulation_id", "from_class", "to_class", "customer_id"],
        unique=False,
    )
    op.create_table(
        "simulation",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "against",
            sa.Integer(),
            nullable=True,
            comment="another version of the scheme; null: the classes that stand",
        ),
        sa.Column(
            "documents",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what was simulated, per version",
        ),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refit", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("position", sa.Uuid(), nullable=True, comment="the last customer done"),
        sa.Column("processed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column(
            "breakpoints",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what the population decided, per version",
        ),
        sa.Column(
            "outcome",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="counts, movement, revenue and workload",
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_simulation_status")
        ),
        sa.ForeignKeyConstraint(["scheme"], ["scheme.key"], name=op.f("fk_simulation_scheme_scheme")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_simulation")),
    )
    op.create_table(
        "simulation_count",
        sa.Column("simulation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("position", sa.Uuid(), nullable=False, comment="the customer after whom the counted chunk begins"),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("from_class", sa.Text(collation="C"), nullable=False, comment="empty: in no class"),
        sa.Column("to_class", sa.Text(collation="C"), nullable=False, comment="empty: in no class"),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("monetary", sa.Numeric(precision=24, scale=4), nullable=False),
        sa.Column("at_once", sa.BigInteger(), nullable=False, comment="of these, who would move at once"),
        sa.Column("pending", sa.BigInteger(), nullable=False, comment="of these, who would wait for their movement"),
        sa.Column("overridden", sa.BigInteger(), nullable=False, comment="of these, who are held by an override"),
        sa.PrimaryKeyConstraint("simulation_id", "id", name=op.f("pk_simulation_count")),
    )
    op.add_column(
        "breakpoints",
        sa.Column(
            "previous_id", sa.Uuid(), nullable=True, comment="the breakpoints in force before, of the same version"
        ),
    )
    op.add_column(
        "breakpoints",
        sa.Column(
            "moved",
            sa.BigInteger(),
            nullable=True,
            comment="customers whom these breakpoints decide otherwise than the previous",
        ),
    )
    op.add_column(
        "class_change",
        sa.Column(
            "facts",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="whatever else it reads: fields, tags, classes, events, in its order",
        ),
    )
    op.add_column(
        "customer_class",
        sa.Column(
            "pending_class",
            sa.Text(),
            nullable=True,
            comment="what the class becomes unless the customer's decision changes",
        ),
    )
    op.add_column(
        "customer_class", sa.Column("pending_on", sa.Date(), nullable=True, comment="the business day on which it does")
    )
    op.add_column(
        "customer_class",
        sa.Column("overridden", sa.Boolean(), server_default="false", nullable=False, comment="a person set the class"),
    )
    op.add_column(
        "customer_metrics",
        sa.Column(
            "categories",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="categories bought; null until a published scheme asks for their number",
        ),
    )
    op.add_column(
        "customer_metrics",
        sa.Column(
            "window_first_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the earliest purchase or refund within 365 days",
        ),
    )
    op.add_column(
        "customer_metrics",
        sa.Column(
            "next_fact_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the next recorded purchase or refund begins to count",
        ),
    )
    op.add_column(
        "customer_metrics",
        sa.Column(
            "probability_alive",
            sa.Numeric(precision=12, scale=8),
            nullable=True,
            comment="0 to 1, by the prediction model in force",
        ),
    )
    op.add_column(
        "customer_metrics", sa.Column("expected_purchases_365d", sa.Numeric(precision=20, scale=6), nullable=True)
    )
    op.add_column(
        "customer_metrics", sa.Column("predicted_value_365d", sa.Numeric(precision=20, scale=4), nullable=True)
    )
    op.add_column(
        "customer_metrics",
        sa.Column(
            "next_review_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a class can next change by time alone",
        ),
    )
    op.add_column(
        "recalculation",
        sa.Column(
            "publishes", sa.Integer(), nullable=True, comment="the version of its one scheme that it puts in force"
        ),
    )
    op.add_column(
        "recalculation",
        sa.Column("held_on", sa.Date(), nullable=True, comment="the business day on which classes of a past day stand"),
    )
    op.alter_column(
        "scheme",
        "version",
        existing_type=sa.INTEGER(),
        existing_nullable=False,
        comment="the published version; 0 before the first",
        existing_comment="the published version",
    )
    op.add_column(
        "scheme",
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="why the scheme cannot be evaluated; its classes stand as they were",
        ),
    )
    op.add_column(
        "scheme", sa.Column("stale_since", sa.DateTime(timezone=True), nullable=True, comment="since when it cannot")
    )
    op.add_column(
        "scheme",
        sa.Column(
            "retired_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="deleted: no longer evaluated, its history stays",
        ),
    )
    op.add_column(
        "scheme_version",
        sa.Column("note", sa.Text(), nullable=True, comment="what this version changes, in its author's words"),
    )
    op.add_column(
        "scheme_version",
        sa.Column("edits", sa.Integer(), server_default="1", nullable=False, comment="counts the edits of a draft"),
    )
    op.add_column("scheme_version", sa.Column("created_by", sa.Text(), server_default="system", nullable=False))
    op.add_column("scheme_version", sa.Column("published_by", sa.Text(), nullable=True))
    op.add_column("scheme_version", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("scheme_version", "retired_at")
    op.drop_column("scheme_version", "published_by")
    op.drop_column("scheme_version", "created_by")
    op.drop_column("scheme_version", "edits")
    op.drop_column("scheme_version", "note")
    op.alter_column(
        "scheme",
        "version",
        existing_type=sa.INTEGER(),
        existing_nullable=False,
        comment="the published version",
        existing_comment="the published version; 0 before the first",
    )
    op.drop_column("scheme", "retired_at")
    op.drop_column("scheme", "stale_since")
    op.drop_column("scheme", "error")
    op.drop_column("recalculation", "held_on")
    op.drop_column("recalculation", "publishes")
    op.drop_column("customer_metrics", "next_review_at")
    op.drop_column("customer_metrics", "predicted_value_365d")
    op.drop_column("customer_metrics", "expected_purchases_365d")
    op.drop_column("customer_metrics", "probability_alive")
    op.drop_column("customer_metrics", "next_fact_at")
    op.drop_column("customer_metrics", "window_first_at")
    op.drop_column("customer_metrics", "categories")
    op.drop_column("customer_class", "overridden")
    op.drop_column("customer_class", "pending_on")
    op.drop_column("customer_class", "pending_class")
    op.drop_column("class_change", "facts")
    op.drop_column("breakpoints", "moved")
    op.drop_column("breakpoints", "previous_id")
    op.drop_table("simulation_count")
    op.drop_table("simulation")
    op.drop_index("ix_simulation_move_simulation_id", table_name="simulation_move")
    op.drop_table("simulation_move")
    op.drop_index("ix_segment_member_scheme", table_name="segment_member")
    op.drop_table("segment_member")
    op.drop_table("prediction")
    op.drop_index(
        "ix_class_override_waiting", table_name="class_override", postgresql_where=sa.text("status = 'proposed'")
    )
    op.drop_table("class_override")
