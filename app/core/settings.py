"""Everything that can be set from outside, read once from `STRATA_*` variables."""

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core import mail_server

LOOPBACK = mail_server.LOOPBACK
Signature = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Settings(BaseSettings):
    """The service's settings; every field is the variable `STRATA_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="STRATA_", extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: str | None = Field(default=None, description="PostgreSQL 18 server; none starts the embedded one")
    data: Path = Field(default=Path(".data"), description="folder of the embedded database and local secrets")
    secret_key: SecretStr | None = Field(default=None, description="signs and locks; 32 characters or more")
    admin_password: SecretStr | None = Field(default=None, description="password of the first user, `admin`")

    currency: Currency = Field(default="CNY", description="base currency of all metrics")
    time_zone: str = Field(default="UTC", description="business time zone: where a day begins")
    today: date | None = Field(default=None, description="shifts the business clock so that today is this date")

    pool_size: Annotated[int, Field(ge=2, le=500, description="connections of one process to the database")] = 20
    pool_timeout: Annotated[float, Field(gt=0, le=60, description="seconds to wait for a connection, then 503")] = 1.5
    statement_timeout: Annotated[int, Field(ge=1, le=3600, description="seconds, for requests")] = 15
    prepared_statements: bool = Field(default=True, description="off behind pgbouncer in transaction mode")

    max_in_flight: Annotated[int, Field(ge=4, le=10_000, description="requests at once; one more gets 503")] = 32
    drain_seconds: Annotated[float, Field(ge=0, le=300, description="after SIGTERM, not ready but answering")] = 0

    max_body_bytes: Annotated[int, Field(ge=1024, description="of a request, but for files")] = 4 * 1024 * 1024
    max_import_bytes: Annotated[int, Field(ge=1024, description="of a file that is imported")] = 2 * 1024 * 1024 * 1024
    cors_origins: list[str] = Field(default_factory=list, description="origins whose pages may call the API")

    access_token_minutes: Annotated[int, Field(ge=1, le=60, description="an access token is good for")] = 15
    refresh_token_days: Annotated[int, Field(ge=1, le=90, description="a refresh token is good for")] = 30
    login_attempts_per_minute: Annotated[int, Field(ge=1, le=1000, description="to one account")] = 10

    oidc_issuer: str | None = Field(default=None, description="external issuer whose access tokens are accepted, too")
    oidc_audience: str | None = Field(default=None, description="the audience that its tokens must name")
    oidc_roles_claim: str = Field(default="roles", description="claim with roles; dots lead into objects")
    oidc_roles: dict[str, str] = Field(default_factory=dict, description="the issuer's role to a role's key here")
    oidc_unit_id: UUID | None = Field(default=None, description="unit of those who come by the issuer")
    oidc_algorithms: list[Signature] = Field(
        default=["RS256", "ES256"], min_length=1, description="signatures that its tokens may have"
    )
    oidc_clock_skew: Annotated[int, Field(ge=0, le=300, description="seconds that its clock may differ")] = 30

    job_concurrency: Annotated[int, Field(ge=1, le=64, description="jobs of one worker at a time")] = 4
    job_longest: Annotated[
        float,
        Field(ge=60, le=7 * 86400, description="seconds after which a job's start is broken off, to be tried again"),
    ] = 4 * 3600
    worker_host: str = Field(default="127.0.0.1", description="address of the port below")
    worker_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="where `strata worker` answers /healthz and /metrics; nowhere when left out"
    )
    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#]+(/[^?#]*)?$")] | None = Field(
        default=None, description="where customers reach the service; links in invitations begin with it"
    )
    survey_answers_per_minute: Annotated[
        int, Field(ge=1, le=1000, description="by one link; by one address 5 times")
    ] = 10
    self_service_per_minute: Annotated[
        int, Field(ge=1, le=1000, description="feedback, consents and exports by one customer; by one address 5 times")
    ] = 10
    smtp_url: SecretStr | None = Field(
        default=None, description="server that sends e-mail, as smtp://user:password@host:587; none sends none"
    )
    smtp_timeout: Annotated[float, Field(gt=0, le=60, description="seconds the server has to take one e-mail")] = 10
    mail_from: str | None = Field(default=None, description="who e-mail is from, as Acme <service@acme.example>")
    invitation_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$")] | None = Field(
        default=None, description="your page on which customers set a password; #invitation=... is added to it"
    )
    phone_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="reads national phone numbers")] = "CN"
    classify_inline: bool = Field(
        default=True, description="off: facts are recorded at once, and classes follow within minutes"
    )
    recalculation_lanes: Annotated[int, Field(ge=1, le=16, description="chunks computed side by side")] = 2
    stale_after_days: Annotated[
        int, Field(ge=1, le=3653, description="without a change, purchase or interaction a customer is stale")
    ] = 365
    webhook_timeout: Annotated[float, Field(gt=0, le=60, description="seconds an endpoint has for its answer")] = 10
    webhook_http: bool = Field(default=False, description="lets webhooks go to http:// as well; for development")
    webhook_private_hosts: list[str] = Field(
        default_factory=list, description="hosts, by their names in lower case, that webhooks may reach at any address"
    )
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] | None = Field(
        default=None, description="collector that takes traces by OTLP over HTTP, such as http://collector:4318"
    )
    trace_share: Annotated[float, Field(ge=0, le=1, description="of the requests that begin a trace")] = 1
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is not an IANA time zone such as Asia/Shanghai") from error
        return value

    @model_validator(mode="after")
    def _whole_issuer(self) -> Self:
        if self.oidc_issuer is None:
            return self
        host = urlsplit(self.oidc_issuer)
        if host.scheme != "https" and (host.scheme, host.hostname) not in {("http", each) for each in LOOPBACK}:
            raise ValueError("the issuer is a URL that begins with https://")
        if not self.oidc_audience or not self.oidc_roles:
            raise ValueError('an issuer needs an audience and roles, such as {"crm-sales": "sales"}')
        return self

    @model_validator(mode="after")
    def _whole_mail(self) -> Self:
        if self.smtp_url is not None:
            mail_server.of(self.smtp_url.get_secret_value())
            if self.mail_from is None:
                raise ValueError("a server for e-mail needs STRATA_MAIL_FROM, too")
        if self.mail_from is not None:
            mail_server.sender(self.mail_from)
        return self

    @field_validator("secret_key")
    @classmethod
    def _strong_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        key = value.get_secret_value()
        if len(key) < 32:
            raise ValueError("the secret key needs 32 characters or more")
        # Nothing random looks like this: fewer than 8 of hex's 16 digits come up once in 10^8 keys of 32.
        if len(set(key)) < 8 or key in (key + key)[1:-1]:
            raise ValueError("the secret key repeats itself; make a random one, as by: openssl rand -hex 32")
        return value


def described() -> list[tuple[str, str, str]]:
    """Each setting's variable, default and meaning, in the order of `Settings`."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        rows.append((f"STRATA_{name.upper()}", "" if default is None else str(default), field.description or ""))
    return rows


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once. Settings that cannot be end the process, in lines that quote no value."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'_'.join(['STRATA', *map(str, each['loc'])]).upper()}: {each['msg']}"
            for each in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise SystemExit("\n".join(lines)) from None
