"""Routes of surveys and feedback."""

from app.feedback.api import facts, surveys

routers = [surveys.routes, facts.routes]
