"""The one list of packages: what each brings to the service. Delete a line and its package, the rest works.

Lower packages first; see "How it is built" in the README for the heights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from sqlalchemy import ColumnElement, Select, Table

from app.classification import api as classification_api
from app.classification import checks as classification_checks
from app.classification import events as classification_events
from app.classification import handlers as classification_handlers
from app.classification import models as classification_models
from app.classification import queries as classification_queries
from app.classification import repointing as classification_repointing
from app.classification import schemes as classification_schemes
from app.classification import timeline as classification_timeline
from app.classification.portraits import basics as portraits
from app.core import audit, idempotency, jobs, outbox
from app.core import checks as core_checks
from app.core.checks import Check
from app.core.db import WriteSession, metadata
from app.core.events import announced_by, declare, subscribe
from app.core.http import docs, problems
from app.core.http.problems import Successor
from app.core.http.routes import Router
from app.core.jobs import DeadLetter, Handler, Schedule
from app.core.retention import Retained
from app.customers import api as customers_api
from app.customers import checks as customers_checks
from app.customers import document
from app.customers import events as customers_events
from app.customers import handlers as customers_handlers
from app.customers import importing as customers_importing
from app.customers import models as customers_models
from app.customers import queries as customers_queries
from app.customers.duplicates.models import duplicate_dismissal
from app.customers.merging import checks as merging_checks
from app.customers.merging import places
from app.customers.merging import repointing as customers_repointing
from app.customers.merging.places import Place
from app.customers.regions import tree as regions
from app.customers.timeline import TimelinePart
from app.directory import api as directory_api
from app.directory import checks as directory_checks
from app.directory import handlers as directory_handlers
from app.directory import repointing as directory_repointing
from app.directory import timeline
from app.feedback import api as feedback_api
from app.feedback import checks as feedback_checks
from app.feedback import events as feedback_events
from app.feedback import handlers as feedback_handlers
from app.feedback import importing as feedback_importing
from app.feedback import models as feedback_models
from app.feedback import queries as feedback_queries
from app.feedback import repointing as feedback_repointing
from app.feedback import scores
from app.governance import api as governance_api
from app.governance import checks as governance_checks
from app.governance import events as governance_events
from app.governance import handing_over, retention
from app.governance import handlers as governance_handlers
from app.governance import models as governance_models
from app.governance import repointing as governance_repointing
from app.governance.handing_over import Rows
from app.identity import api as identity_api
from app.identity import handlers as identity_handlers
from app.identity import seed as identity_seed
from app.imports import api as imports_api
from app.imports import checks as imports_checks
from app.imports import events as imports_events
from app.imports import handlers as imports_handlers
from app.imports import kinds
from app.imports.kinds import ImportKind
from app.interactions import api as interactions_api
from app.interactions import checks as interactions_checks
from app.interactions import events as interactions_events
from app.interactions import handlers as interactions_handlers
from app.interactions import importing as interactions_importing
from app.interactions import models as interactions_models
from app.interactions import queries as interactions_queries
from app.interactions import repointing as interactions_repointing
from app.mail import events as mail_events
from app.mail import handlers as mail_handlers
from app.mail import post
from app.mail.post import Writer
from app.operations import api as operations_api
from app.operations import queue
from app.purchases import api as purchases_api
from app.purchases import checks as purchases_checks
from app.purchases import events as purchases_events
from app.purchases import handlers as purchases_handlers
from app.purchases import importing as purchases_importing
from app.purchases import models as purchases_models
from app.purchases import repointing as purchases_repointing
from app.purchases import timeline as purchases_timeline
from app.quality import api as quality_api
from app.quality import events as quality_events
from app.quality import handlers as quality_handlers
from app.self_service import accounts as self_service_accounts
from app.self_service import api as self_service_api
from app.self_service import checks as self_service_checks
from app.self_service import events as self_service_events
from app.self_service import handlers as self_service_handlers
from app.self_service import letters as self_service_letters
from app.self_service import models as self_service_models
from app.self_service import repointing as self_service_repointing
from app.webhooks import api as webhooks_api
from app.webhooks import checks as webhooks_checks
from app.webhooks import documented as webhooks_documented
from app.webhooks import events as webhooks_events
from app.webhooks import feed
from app.webhooks import handlers as webhooks_handlers

__all__ = ["FEATURES", "audit", "metadata", "outbox"]


@dataclass(frozen=True, slots=True)
class Feature:
    """What one package brings."""

    name: str
    routers: list[Router] = field(default_factory=list)
    handlers: Mapping[type[Any], Any] = field(default_factory=dict)
    jobs: Mapping[str, Handler] = field(default_factory=dict)
    schedules: list[Schedule] = field(default_factory=list)
    dead_letters: Mapping[str, DeadLetter] = field(default_factory=dict)
    lanes: Mapping[str, int] = field(default_factory=dict)
    letters: Mapping[str, Writer] = field(default_factory=dict)
    customer_fields: dict[str, ColumnElement[Any]] = field(default_factory=dict)
    channels: Mapping[str, Select[Any]] = field(default_factory=dict)
    timeline: Mapping[str, TimelinePart] = field(default_factory=dict)
    score_groups: Mapping[str, tuple[str, Select[Any]]] = field(default_factory=dict)
    customer_tables: Sequence[Table] = ()
    customer_rows: Mapping[str, Rows] = field(default_factory=dict)
    retained: Sequence[Retained] = ()
    import_kinds: list[ImportKind] = field(default_factory=list)
    merging: list[Place] = field(default_factory=list)
    successors: Mapping[str, Successor] = field(default_factory=dict)
    events: ModuleType | None = None
    document: Callable[[], dict[str, Any]] | None = None
    checks: list[Check] = field(default_factory=list)


FEATURES = [
    Feature(
        "core",
        jobs={**idempotency.JOBS, **jobs.JOBS},
        schedules=[*idempotency.SCHEDULES, *jobs.SCHEDULES],
        retained=outbox.RETAINED,
        checks=core_checks.CHECKS,
    ),
    Feature(
        "mail",
        events=mail_events,
        jobs=mail_handlers.JOBS,
        dead_letters=mail_handlers.DEAD_LETTERS,
        lanes=mail_handlers.LANES,
    ),
    Feature("identity", identity_api.routers, jobs=identity_handlers.JOBS, schedules=identity_handlers.SCHEDULES),
    Feature(
        "imports",
        imports_api.routers,
        events=imports_events,
        jobs=imports_handlers.JOBS,
        dead_letters=imports_handlers.DEAD_LETTERS,
        checks=imports_checks.CHECKS,
    ),
    Feature(
        "customers",
        customers_api.routers,
        events=customers_events,
        handlers=customers_handlers.HANDLERS,
        jobs=customers_handlers.JOBS,
        schedules=customers_handlers.SCHEDULES,
        channels={"source": document.BY_SOURCE},
        import_kinds=[customers_importing.KIND],
        customer_tables=[*customers_models.KEPT_OF_A_CUSTOMER, duplicate_dismissal],
        customer_rows={"contact_of": customers_queries.contact_of},
        retained=customers_handlers.RETAINED,
        merging=customers_repointing.PLACES,
        successors={"customer_id": customers_api.merges.successor},
        checks=customers_checks.CHECKS,
    ),
    Feature(
        "purchases",
        purchases_api.routers,
        events=purchases_events,
        handlers=purchases_handlers.HANDLERS,
        timeline={"purchase": purchases_timeline.TIMELINE},
        customer_tables=purchases_models.KEPT_OF_A_CUSTOMER,
        import_kinds=[purchases_importing.KIND],
        merging=purchases_repointing.PLACES,
        checks=purchases_checks.CHECKS,
    ),
    Feature(
        "interactions",
        interactions_api.routers,
        events=interactions_events,
        handlers=interactions_handlers.HANDLERS,
        import_kinds=[interactions_importing.KIND],
        timeline={"interaction": interactions_queries.TIMELINE},
        customer_tables=interactions_models.KEPT_OF_A_CUSTOMER,
        retained=interactions_handlers.RETAINED,
        merging=interactions_repointing.PLACES,
        checks=interactions_checks.CHECKS,
    ),
    Feature(
        "feedback",
        feedback_api.routers,
        events=feedback_events,
        handlers=feedback_handlers.HANDLERS,
        import_kinds=[feedback_importing.KIND],
        timeline={"feedback": feedback_queries.TIMELINE},
        customer_tables=feedback_models.KEPT_OF_A_CUSTOMER,
        retained=feedback_handlers.RETAINED,
        merging=feedback_repointing.PLACES,
        checks=feedback_checks.CHECKS,
    ),
    Feature(
        "classification",
        classification_api.routers,
        events=classification_events,
        handlers=classification_handlers.HANDLERS,
        jobs=classification_handlers.JOBS,
        schedules=classification_handlers.SCHEDULES,
        dead_letters=classification_handlers.DEAD_LETTERS,
        customer_fields={"classes": classification_queries.classes_of_customer},
        timeline={"class_change": classification_timeline.TIMELINE},
        score_groups={"class": (classification_queries.READ, classification_queries.CLASS_MEMBERS)},
        customer_tables=classification_models.KEPT_OF_A_CUSTOMER,
        merging=classification_repointing.PLACES,
        checks=classification_checks.CHECKS,
    ),
    Feature(
        "directory",
        directory_api.routers,
        handlers=directory_handlers.HANDLERS,
        jobs=directory_handlers.JOBS,
        schedules=directory_handlers.SCHEDULES,
        dead_letters=directory_handlers.DEAD_LETTERS,
        merging=directory_repointing.PLACES,
        checks=directory_checks.CHECKS,
    ),
    Feature(
        "quality",
        quality_api.routers,
        events=quality_events,
        jobs=quality_handlers.JOBS,
        schedules=quality_handlers.SCHEDULES,
    ),
    Feature(
        "webhooks",
        webhooks_api.routers,
        events=webhooks_events,
        document=webhooks_documented.part,
        jobs=webhooks_handlers.JOBS,
        retained=webhooks_handlers.RETAINED,
        schedules=webhooks_handlers.SCHEDULES,
        checks=webhooks_checks.CHECKS,
    ),
    Feature(
        "governance",
        governance_api.routers,
        events=governance_events,
        handlers=governance_handlers.HANDLERS,
        customer_tables=governance_models.KEPT_OF_A_CUSTOMER,
        retained=governance_handlers.RETAINED,
        jobs=governance_handlers.JOBS,
        schedules=governance_handlers.SCHEDULES,
        merging=governance_repointing.PLACES,
        checks=governance_checks.CHECKS,
    ),
    Feature("operations", operations_api.routers),
    Feature(
        "self_service",
        self_service_api.routers,
        events=self_service_events,
        handlers=self_service_handlers.HANDLERS,
        letters=self_service_letters.LETTERS,
        customer_tables=self_service_models.KEPT_OF_A_CUSTOMER,
        customer_rows={"account": self_service_accounts.kept_of},
        merging=self_service_repointing.PLACES,
        checks=self_service_checks.CHECKS,
    ),
]

JOBS: dict[str, Handler] = {name: handler for feature in FEATURES for name, handler in feature.jobs.items()}
DEAD_LETTERS: dict[str, DeadLetter] = {
    name: told for feature in FEATURES for name, told in feature.dead_letters.items()
}
LANES: dict[str, int] = {name: limit for feature in FEATURES for name, limit in feature.lanes.items()}
PLACES: list[Place] = [place for feature in FEATURES for place in feature.merging]
CHECKS: list[Check] = [
    *(check for feature in FEATURES for check in feature.checks),
    *merging_checks.checks_of(PLACES),
    core_checks.known_columns(metadata),
]
SCHEDULES: list[Schedule] = [schedule for feature in FEATURES for schedule in feature.schedules]


def install() -> None:
    """Wire the packages: what each brings for the others to find."""
    places.declare(PLACES)
    queue.add(JOBS, DEAD_LETTERS)
    for feature in FEATURES:
        subscribe(feature.handlers)
        if feature.events is not None:
            declare(announced_by(feature.events))
        if feature.document is not None:
            docs.add(feature.document)
        document.extend(feature.customer_fields)
        handing_over.add(feature.customer_tables, feature.customer_rows)
        retention.add(feature.retained)
        portraits.add_channels(feature.channels)
        timeline.add(feature.timeline)
        post.add(feature.letters)
        scores.add_memberships(feature.score_groups)
        problems.succeed(feature.successors)
        for kind in feature.import_kinds:
            kinds.register(kind)


async def seed(session: WriteSession, *, admin_password: str | None) -> str | None:
    """Roles, the first user, regions and the preset schemes, where missing. Returns a password made up here.

    A database that was restored from another server's is made this server's own first.
    """
    await feed.adopt(session)
    password = await identity_seed.seed(session, admin_password=admin_password)
    await regions.seed(session)
    await classification_schemes.seed(session)
    return password
