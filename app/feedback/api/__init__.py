"""Routes of surveys and feedback."""

from app.feedback.api import facts, pages, surveys

routers = [surveys.routes, pages.routes, facts.routes]
