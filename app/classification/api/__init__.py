"""The routes of classification."""

from app.classification.api import classes, history, overrides, recalculations, schemes, simulations, versions

routers = [
    schemes.routes,
    versions.routes,
    classes.routes,
    history.routes,
    overrides.routes,
    recalculations.routes,
    simulations.routes,
]
