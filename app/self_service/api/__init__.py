"""Routes of self-service: of customers themselves, and of whoever lets them in."""

from app.self_service.api import accounts, my

routers = [my.routes, accounts.routes]
