"""The routes of classification."""

from app.classification.api import (
    classes,
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
    classes.routes,
    portraits.routes,
    history.routes,
    overrides.routes,
    recalculations.routes,
    predictions.routes,
    simulations.routes,
]
