"""The OpenAPI document as client generators like it, and the page that shows it without the internet."""

from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles

from app.core.http import generators
from app.core.http.problems import MEDIA_TYPE, ProblemDetails
from app.core.http.routes import keeps_answers

URL = "/v1/openapi.json"
ASSETS = "/docs/assets"
_PROBLEM_ANSWER = {
    "description": "A problem (RFC 9457): what is wrong, which field, and what to do",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the first answer again; another body is refused. Kept 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


_parts: list[Callable[[], dict[str, Any]]] = []


def add(part: Callable[[], dict[str, Any]]) -> None:
    """Let a package add a part of its own to the document, with the schemas that it refers to."""
    if part not in _parts:
        _parts.append(part)


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once, as generators like it: one problem for every error, and names that read well."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/", "description": "where the document came from"}],
        license_info=app.license_info,
        separate_input_output_schemas=True,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_problem_schemas())
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    keep_answers = {route.unique_id for route in app.routes if isinstance(route, APIRoute) and keeps_answers(route)}
    for item in made["paths"].values():
        for operation in item.values():
            _finish(operation, keeps_answer=operation["operationId"] in keep_answers)
    for part in _parts:
        added = part()
        schemas.update(added.pop("components")["schemas"])
        made.update(added)
    generators.suit(schemas)
    app.openapi_schema = made
    return made


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemDetails.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization", by_alias=True
    )
    return {**schema.pop("$defs", {}), "ProblemDetails": schema}


def _finish(operation: dict[str, Any], *, keeps_answer: bool) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = _PROBLEM_ANSWER
    operation.setdefault("security", [])  # said of public operations, too
    for parameter in operation.get("parameters", []):
        generators.suit_parameter(parameter["schema"])
    if keeps_answer:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


def install(app: FastAPI) -> None:
    """Serve the document and its page, with the page's assets from the installed package."""
    assets = resources.files("swagger_ui_bundle") / "vendor"
    folder = next(entry for entry in assets.iterdir() if entry.is_dir())
    app.openapi = lambda: document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    app.mount(ASSETS, StaticFiles(directory=str(folder)), name="docs_assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=URL,
            title=f"{app.title} API",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
        )
