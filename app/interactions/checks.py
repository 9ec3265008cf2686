"""What must hold of interactions."""

from sqlalchemy import and_, func, select

from app.core.checks import Check, announced
from app.customers.checks import belongs
from app.imports.checks import waiting
from app.interactions.events import InteractionRecorded
from app.interactions.models import interaction, interaction_version
from app.interactions.staging import interaction_import_row

_earlier = (
    select(func.count())
    .where(
        interaction_version.c.customer_id == interaction.c.customer_id,
        interaction_version.c.id == interaction.c.id,
        interaction_version.c.version < interaction.c.version,
    )
    .scalar_subquery()
)
_stands = (
    select(interaction.c.id)
    .where(
        and_(
            interaction.c.customer_id == interaction_version.c.customer_id,
            interaction.c.id == interaction_version.c.id,
            interaction.c.version > interaction_version.c.version,
        )
    )
    .exists()
)

CHECKS = [
    belongs(interaction, "interaction"),
    announced("interaction.recorded", InteractionRecorded.name, "interaction_id", "interaction recorded"),
    Check(
        "a corrected interaction keeps all its earlier versions",
        examined=select(func.count()).select_from(interaction).where(interaction.c.version > 1),
        violations=select(interaction.c.customer_id, interaction.c.id, interaction.c.version)
        .where(interaction.c.version > 1, _earlier != interaction.c.version - 1)
        .order_by(interaction.c.customer_id, interaction.c.id),
    ),
    Check(
        "every earlier version is of an interaction that stands",
        examined=select(func.count()).select_from(interaction_version),
        violations=select(interaction_version.c.customer_id, interaction_version.c.id, interaction_version.c.version)
        .where(~_stands)
        .order_by(interaction_version.c.customer_id, interaction_version.c.id),
    ),
    waiting(interaction_import_row, "row of interactions"),
]
