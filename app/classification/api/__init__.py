"""The routes of classification."""

from app.classification.api import (
    classes,
    groups,
    history,
    overrides,
    portraits,
    predictions,
    recalculations,
    schemes,
    segments,
    simulations,
    versions,
)

routers = [
    schemes.routes,
    versions.routes,
    segments.routes,
    groups.routes,
    classes.routes,
    portraits.routes,
    history.routes,
    overrides.routes,
    recalculations.routes,
    predictions.routes,
    simulations.routes,
]
