"""The routes of classification."""

from app.classification.api import classes, recalculations, schemes, simulations

routers = [schemes.routes, classes.routes, recalculations.routes, simulations.routes]
