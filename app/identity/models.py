"""The tables of access. Secrets are kept as hashes only."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB

from app.core.db import metadata

org_unit = Table(
    "org_unit",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("parent_id", UuidType, ForeignKey("org_unit.id")),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("parent_id", "name", postgresql_nulls_not_distinct=True),
    CheckConstraint("parent_id <> id", name="not_its_own_parent"),
)

role = Table(
    "role",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("key", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("permissions", JSONB, nullable=False, comment="permission name to scope"),
    Column("preset", Boolean, nullable=False, server_default=text("false")),
    Column("edited", Boolean, nullable=False, server_default=text("false"), comment="seeding leaves an edited preset"),
    Column("seeded", JSONB, comment="a preset's permissions as they were last seeded"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

user_account = Table(
    "user_account",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("username", Text, nullable=False, unique=True, info={"personal": "account"}),
    Column("name", Text, nullable=False, info={"personal": "name"}),
    Column("email", Text, info={"personal": "email"}),
    Column("password_hash", Text, nullable=False, info={"secret": True}),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("unit_id", UuidType, ForeignKey("org_unit.id"), index=True),
    Column(
        "for_customer", Boolean, nullable=False, server_default=text("false"), comment="self-service is all it may use"
    ),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("username = lower(username)", name="lower_case_username"),
)

user_role = Table(
    "user_role",
    metadata,
    Column("user_id", UuidType, ForeignKey("user_account.id"), primary_key=True),
    Column("role_id", UuidType, ForeignKey("role.id"), primary_key=True, index=True),
)

unit_membership = Table(
    "unit_membership",
    metadata,
    # A temporal key, which SQLAlchemy cannot say: `during` is WITHOUT OVERLAPS (see migrations).
    Column("user_id", UuidType, ForeignKey("user_account.id"), primary_key=True),
    Column("unit_id", UuidType, ForeignKey("org_unit.id"), primary_key=True, index=True),
    Column("during", DATERANGE, primary_key=True),
    Column("id", UuidType, nullable=False, unique=True, server_default=func.uuidv7()),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

delegation = Table(
    "delegation",
    metadata,
    # A temporal key, as that of unit_membership.
    Column("absent_id", UuidType, ForeignKey("user_account.id"), primary_key=True),
    Column("delegate_id", UuidType, ForeignKey("user_account.id"), primary_key=True, index=True),
    Column("during", DATERANGE, primary_key=True),
    Column("id", UuidType, nullable=False, unique=True, server_default=func.uuidv7()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", UuidType, nullable=False, comment="a user or an API key"),
    CheckConstraint("absent_id <> delegate_id", name="not_to_oneself"),
)

auth_session = Table(
    "auth_session",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("user_id", UuidType, ForeignKey("user_account.id"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

external_account = Table(
    "external_account",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True, info={"personal": "account"}, comment="who it is, as the issuer says"),
    Column("user_id", UuidType, ForeignKey("user_account.id"), nullable=False, unique=True),
    Column("claimed_at", DateTime(timezone=True), nullable=False, comment="when the newest token seen was issued"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

external_session = Table(
    "external_session",
    metadata,
    Column("user_id", UuidType, ForeignKey("user_account.id"), primary_key=True),
    Column("key", Text, primary_key=True, comment="the issuer's name of the log-in, or of the token, as a hash"),
    Column("session_id", UuidType, ForeignKey("auth_session.id", ondelete="CASCADE"), nullable=False, unique=True),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("session_id", UuidType, ForeignKey("auth_session.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", Text, nullable=False, unique=True, info={"secret": True}),
    Column("issued_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("used_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("key_hash", Text, nullable=False, info={"secret": True}),
    Column("previous_hash", Text, info={"secret": True}, comment="of the key that the last rotation replaced"),
    Column("previous_expires_at", DateTime(timezone=True), comment="until when the replaced key works, too"),
    Column("permissions", JSONB, nullable=False, comment="permission name to scope"),
    Column("unit_id", UuidType, ForeignKey("org_unit.id"), index=True),
    Column("created_by", UuidType, nullable=False, comment="a user, or the API key that made this one"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    Column("version", Integer, nullable=False, server_default="1"),
)

login_attempt = Table(
    "login_attempt",
    metadata,
    Column("subject", Text, primary_key=True, comment="an account or an address, as a keyed hash"),
    Column("window_start", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_login_attempt_window_start", "window_start"),
)
