"""foundation

Revision: 0001
Follows:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import await_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _run_script(sql: str) -> None:
    """Several statements at once, which only the driver itself takes: pgqueuer installs its own tables."""
    if op.get_context().as_sql:
        op.execute(sql)
    else:
        driver: Any = op.get_bind().connection.driver_connection
        await_only(driver.execute(sql))


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    _run_script(QueryBuilderEnvironment().build_install_query())
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index("ix_audit_event_resource", "audit_event", ["resource", "resource_id"], unique=False)
    op.create_table(
        "class_change",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("from_class", sa.Text(), nullable=True),
        sa.Column("to_class", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="business time of the decision"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="instant whose facts decided"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("breakpoints_id", sa.Uuid(), nullable=True),
        sa.Column(
            "inputs",
            postgresql.ARRAY(sa.Numeric()),
            nullable=False,
            comment="the metrics that the document reads, in its order",
        ),
        sa.Column(
            "score", sa.Integer(), nullable=True, comment="as the scheme's kind packs it, such as 543 for R5 F4 M3"
        ),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_class_change")),
    )
    op.create_table(
        "customer_class",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column(
            "score", sa.Integer(), nullable=True, comment="as the scheme's kind packs it, such as 543 for R5 F4 M3"
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("breakpoints_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "scheme", name=op.f("pk_customer_class")),
    )
    op.create_index(
        "ix_customer_class_scheme_class", "customer_class", ["scheme", "class", "customer_id"], unique=False
    )
    op.create_table(
        "customer_metrics",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False, comment="distinct purchases; refunds do not count"),
        sa.Column(
            "monetary",
            sa.Numeric(precision=20, scale=4),
            nullable=False,
            comment="purchases minus refunds, base currency",
        ),
        sa.Column("refunded", sa.Numeric(precision=20, scale=4), nullable=False),
        sa.Column("frequency_365d", sa.Integer(), nullable=False),
        sa.Column("monetary_365d", sa.Numeric(precision=20, scale=4), nullable=False),
        sa.Column("first_purchase_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_purchase_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_purchase_on", sa.Date(), nullable=True),
        sa.Column("last_purchase_on", sa.Date(), nullable=True),
        sa.Column("purchase_days", sa.Integer(), nullable=False, comment="distinct local days with a purchase"),
        sa.Column(
            "as_of", sa.DateTime(timezone=True), nullable=False, comment="instant of the last change of this row"
        ),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_metrics")),
    )
    op.create_table(
        "dirty_customer",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_dirty_customer")),
    )
    op.create_table(
        "exchange_rate",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "rate",
            sa.Numeric(precision=18, scale=8),
            nullable=False,
            comment="base currency for one unit of this currency",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("rate > 0", name=op.f("ck_exchange_rate_rate")),
        sa.PrimaryKeyConstraint("currency", "day", name=op.f("pk_exchange_rate")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "body", sa.Text(), nullable=True, comment="null when the answer held a secret, which is shown only once"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "import",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("number", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column(
            "plan",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="how the file is to be read: see plan.Plan",
        ),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column(
            "actor", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="whose rights the import has"
        ),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("phase", sa.Text(), server_default="reading", nullable=False),
        sa.Column("run", sa.Integer(), server_default="0", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False, comment="bytes as uploaded"),
        sa.Column("bytes_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "staged", sa.BigInteger(), server_default="0", nullable=False, comment="rows that wait in the staging table"
        ),
        sa.Column("accepted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True, comment="rows of the file, once it was read to its end"),
        sa.Column("customers_created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False, comment="records made or altered"),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("phase IN ('reading', 'merging')", name=op.f("ck_import_phase")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_import_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import")),
        sa.UniqueConstraint("number", name=op.f("uq_import_number")),
    )
    op.create_index("ix_import_requested_by", "import", ["requested_by", "id"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("starts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_status_created_at", "job", ["status", "created_at"], unique=False)
    op.create_table(
        "login_attempt",
        sa.Column("subject", sa.Text(), nullable=False, comment="an account or an address, as a keyed hash"),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_attempt")),
    )
    op.create_index("ix_login_attempt_window_start", "login_attempt", ["window_start"], unique=False)
    op.create_table(
        "org_unit",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_org_unit_not_its_own_parent")),
        sa.ForeignKeyConstraint(["parent_id"], ["org_unit.id"], name=op.f("fk_org_unit_parent_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org_unit")),
        sa.UniqueConstraint(
            "parent_id", "name", name=op.f("uq_org_unit_parent_id_name"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "outbox_event",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_event")),
    )
    op.create_table(
        "purchase",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("order_ref", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False, comment="local day in the business time zone"),
        sa.Column("amount", sa.Numeric(precision=18, scale=4), nullable=False, comment="as recorded, never negative"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column(
            "base_amount",
            sa.Numeric(precision=18, scale=4),
            nullable=False,
            comment="base currency; a refund is negative",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(base_amount < 0) = (kind = 'refund')", name=op.f("ck_purchase_sign")),
        sa.CheckConstraint("kind IN ('purchase', 'refund')", name=op.f("ck_purchase_kind")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_purchase_amount")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_purchase")),
        sa.UniqueConstraint("customer_id", "order_ref", "kind", name=op.f("uq_purchase_customer_id_order_ref_kind")),
    )
    op.create_index(
        "ix_purchase_metrics",
        "purchase",
        ["customer_id", "occurred_on"],
        unique=False,
        postgresql_include=["occurred_at", "base_amount"],
    )
    op.create_index("ix_purchase_occurred_at", "purchase", ["occurred_at"], unique=False, postgresql_using="brin")
    op.create_index(
        "ix_purchase_refunds",
        "purchase",
        ["customer_id"],
        unique=False,
        postgresql_include=["occurred_at", "base_amount"],
        postgresql_where=sa.text("base_amount < 0"),
    )
    op.create_table(
        "purchase_import_row",
        sa.Column("import_number", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("order_ref", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("product_ref", sa.Text(), nullable=True),
        sa.Column("product_name", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("content_hash", sa.BigInteger(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_purchase_import_row_bucket", "purchase_import_row", ["import_number", "bucket"], unique=False)
    op.create_table(
        "purchase_line",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("content_hash", sa.BigInteger(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_ref", sa.Text(), nullable=True),
        sa.Column("product_name", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.PrimaryKeyConstraint(
            "customer_id", "purchase_id", "content_hash", "occurrence", name=op.f("pk_purchase_line")
        ),
    )
    op.create_table(
        "recalculation",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("schemes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True, comment="null: the moment it runs"),
        sa.Column("refit", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("phase", sa.Text(), server_default="metrics", nullable=False),
        sa.Column("position", sa.Uuid(), nullable=True, comment="the last customer done in this phase"),
        sa.Column(
            "done", sa.BigInteger(), server_default="0", nullable=False, comment="customers done, all phases together"
        ),
        sa.Column("customers", sa.BigInteger(), nullable=True, comment="customers to do in each phase"),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("phase IN ('metrics', 'fit', 'classes')", name=op.f("ck_recalculation_phase")),
        sa.CheckConstraint("scope IN ('all', 'dirty')", name=op.f("ck_recalculation_scope")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_recalculation_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalculation")),
    )
    op.create_table(
        "role",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "permissions", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="permission name to scope"
        ),
        sa.Column("preset", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "edited",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="seeding leaves an edited preset",
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("key", name=op.f("uq_role_key")),
    )
    op.create_table(
        "scheme",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="the published version"),
        sa.Column("breakpoints_id", sa.Uuid(), nullable=True, comment="the breakpoints in force"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_scheme")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column(
            "permissions", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="permission name to scope"
        ),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False, comment="a user, or the API key that made this one"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["org_unit.id"], name=op.f("fk_api_key_unit_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    op.create_index(op.f("ix_api_key_unit_id"), "api_key", ["unit_id"], unique=False)
    op.create_table(
        "import_chunk",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import.id"], name=op.f("fk_import_chunk_import_id_import"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "position", name=op.f("pk_import_chunk")),
    )
    op.create_table(
        "import_error",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import.id"], name=op.f("fk_import_error_import_id_import"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_import_error")),
    )
    op.create_table(
        "scheme_version",
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('draft', 'published', 'retired')", name=op.f("ck_scheme_version_status")),
        sa.ForeignKeyConstraint(["scheme"], ["scheme.key"], name=op.f("fk_scheme_version_scheme_scheme")),
        sa.PrimaryKeyConstraint("scheme", "version", name=op.f("pk_scheme_version")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("username = lower(username)", name=op.f("ck_user_account_lower_case_username")),
        sa.ForeignKeyConstraint(["unit_id"], ["org_unit.id"], name=op.f("fk_user_account_unit_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("username", name=op.f("uq_user_account_username")),
    )
    op.create_index(op.f("ix_user_account_unit_id"), "user_account", ["unit_id"], unique=False)
    op.create_table(
        "auth_session",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_auth_session_user_id_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_session")),
    )
    op.create_index(op.f("ix_auth_session_expires_at"), "auth_session", ["expires_at"], unique=False)
    op.create_index(op.f("ix_auth_session_user_id"), "auth_session", ["user_id"], unique=False)
    op.create_table(
        "breakpoints",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("population", sa.BigInteger(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recalculation_id", sa.Uuid(), nullable=True),
        sa.Column("fitted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme", "version"],
            ["scheme_version.scheme", "scheme_version.version"],
            name=op.f("fk_breakpoints_scheme_version_scheme_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breakpoints")),
    )
    op.create_index("ix_breakpoints_scheme_fitted_at", "breakpoints", ["scheme", "fitted_at"], unique=False)
    op.create_table(
        "customer",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("kind", sa.Text(), server_default="person", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("custom", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('person', 'company')", name=op.f("ck_customer_kind")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_customer_owner_id_user_account")),
        sa.ForeignKeyConstraint(["unit_id"], ["org_unit.id"], name=op.f("fk_customer_unit_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
    )
    op.create_index("ix_customer_company_id", "customer", ["company_id"], unique=False)
    op.create_index("ix_customer_created_at", "customer", ["created_at", "id"], unique=False)
    op.create_index("ix_customer_name", "customer", ["name", "id"], unique=False)
    op.create_index(
        "ix_customer_name_trigrams",
        "customer",
        [sa.literal_column("lower(name)").label("lower_name")],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"lower_name": "gin_trgm_ops"},
    )
    op.create_index("ix_customer_owner_id", "customer", ["owner_id", "id"], unique=False)
    op.create_index(
        "ix_customer_region", "customer", ["region", "id"], unique=False, postgresql_ops={"region": "text_pattern_ops"}
    )
    op.create_index("ix_customer_tags", "customer", ["tags"], unique=False, postgresql_using="gin")
    op.create_index("ix_customer_unit_id", "customer", ["unit_id", "id"], unique=False)
    op.create_index("ix_customer_updated_at", "customer", ["updated_at", "id"], unique=False)
    op.create_table(
        "user_role",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_user_role_role_id_role")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_user_role_user_id_user_account")),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_user_role")),
    )
    op.create_index(op.f("ix_user_role_role_id"), "user_role", ["role_id"], unique=False)
    op.create_table(
        "customer_identity",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_identity_customer_id_customer"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_customer_identity")),
    )
    op.create_index(op.f("ix_customer_identity_customer_id"), "customer_identity", ["customer_id"], unique=False)
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_session.id"],
            name=op.f("fk_refresh_token_session_id_auth_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_token_token_hash")),
    )
    op.create_index(op.f("ix_refresh_token_session_id"), "refresh_token", ["session_id"], unique=False)

    op.execute("ALTER TABLE import_chunk ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    _run_script(QueryBuilderEnvironment().build_uninstall_query())
    op.drop_index(op.f("ix_refresh_token_session_id"), table_name="refresh_token")
    op.drop_table("refresh_token")
    op.drop_index(op.f("ix_customer_identity_customer_id"), table_name="customer_identity")
    op.drop_table("customer_identity")
    op.drop_index(op.f("ix_user_role_role_id"), table_name="user_role")
    op.drop_table("user_role")
    op.drop_index("ix_customer_updated_at", table_name="customer")
    op.drop_index("ix_customer_unit_id", table_name="customer")
    op.drop_index("ix_customer_tags", table_name="customer", postgresql_using="gin")
    op.drop_index("ix_customer_region", table_name="customer", postgresql_ops={"region": "text_pattern_ops"})
    op.drop_index("ix_customer_owner_id", table_name="customer")
    op.drop_index(
        "ix_customer_name_trigrams",
        table_name="customer",
        postgresql_using="gin",
        postgresql_ops={"lower_name": "gin_trgm_ops"},
    )
    op.drop_index("ix_customer_name", table_name="customer")
    op.drop_index("ix_customer_created_at", table_name="customer")
    op.drop_index("ix_customer_company_id", table_name="customer")
    op.drop_table("customer")
    op.drop_index("ix_breakpoints_scheme_fitted_at", table_name="breakpoints")
    op.drop_table("breakpoints")
    op.drop_index(op.f("ix_auth_session_user_id"), table_name="auth_session")
    op.drop_index(op.f("ix_auth_session_expires_at"), table_name="auth_session")
    op.drop_table("auth_session")
    op.drop_index(op.f("ix_user_account_unit_id"), table_name="user_account")
    op.drop_table("user_account")
    op.drop_table("scheme_version")
    op.drop_table("import_error")
    op.drop_table("import_chunk")
    op.drop_index(op.f("ix_api_key_unit_id"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_table("scheme")
    op.drop_table("role")
    op.drop_table("recalculation")
    op.drop_table("purchase_line")
    op.drop_index("ix_purchase_import_row_bucket", table_name="purchase_import_row")
    op.drop_table("purchase_import_row")
    op.drop_index(
        "ix_purchase_refunds",
        table_name="purchase",
        postgresql_include=["occurred_at", "base_amount"],
        postgresql_where=sa.text("base_amount < 0"),
    )
    op.drop_index("ix_purchase_occurred_at", table_name="purchase", postgresql_using="brin")
    op.drop_index("ix_purchase_metrics", table_name="purchase", postgresql_include=["occurred_at", "base_amount"])
    op.drop_table("purchase")
    op.drop_table("outbox_event")
    op.drop_table("org_unit")
    op.drop_index("ix_login_attempt_window_start", table_name="login_attempt")
    op.drop_table("login_attempt")
    op.drop_index("ix_job_status_created_at", table_name="job")
    op.drop_table("job")
    op.drop_index("ix_import_requested_by", table_name="import")
    op.drop_table("import")
    op.drop_index(op.f("ix_idempotency_key_created_at"), table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_table("exchange_rate")
    op.drop_table("dirty_customer")
    op.drop_table("customer_metrics")
    op.drop_index("ix_customer_class_scheme_class", table_name="customer_class")
    op.drop_table("customer_class")
    op.drop_table("class_change")
    op.drop_index("ix_audit_event_resource", table_name="audit_event")
    op.drop_table("audit_event")
