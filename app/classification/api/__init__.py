"""The routes of classification."""

from app.classification.api import (
    classes,
    history,
    overrides,
    predictions,
    recalculations,
    schemes,
    simulations,
    versions,
)

routers = [
    schemes.routes,
    versions.routes,
    classes.routes,
    history.routes,
    overrides.routes,
    recalculations.routes,
    predictions.routes,
    simulations.routes,
]
