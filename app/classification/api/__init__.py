"""The routes of classification."""

from app.classification.api import classes, recalculations, schemes

routers = [schemes.routes, classes.routes, recalculations.routes]
