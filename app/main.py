"""The HTTP application: middleware outermost, then the packages' routes, around one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.cors import CORSMiddleware

from app import features
from app.core import clock, migrations, telemetry, tracing
from app.core.db import CONNECTION_LOST, Database
from app.core.errors import Unavailable
from app.core.http import docs, middleware, problems
from app.core.http.routing import Branches
from app.core.invalidation import Listener
from app.core.pagination import CursorSigner
from app.core.readings import Readings
from app.core.settings import Settings, get_settings
from app.identity.issuer import Issuer
from app.worker import background_worker

DESCRIPTION = """\
Strata knows a company's customers, classifies them, keeps the classification true as they change, and explains
every decision. Log in with `POST /v1/auth/token`, or send an API key.

Lists are `{items, next_cursor}`; writes return the resource; errors are `application/problem+json` and name the field.
"""


class UnknownSchema(RuntimeError):
    """The database's schema is not the one this code was written for."""


def create_app(*, url: str, secret: str, settings: Settings | None = None, with_worker: bool = False) -> FastAPI:
    """The application on a database; `with_worker` runs the background worker in the same process."""
    settings = settings or get_settings()
    features.install()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tracing.exporting(settings):
            async with started(app):
                yield

    @asynccontextmanager
    async def started(app: FastAPI) -> AsyncIterator[None]:
        database = await Database.connect(url, settings)
        listener = Listener(url)
        await _check_schema(database)
        app.state.database = database
        app.state.readings = readings = Readings(database)
        app.state.issuer = issuer = Issuer.of(settings)
        await listener.start()
        readings.start()
        try:
            async with background_worker(url, settings, enabled=with_worker):
                yield
        finally:
            await readings.stop()
            if issuer is not None:
                await issuer.close()
            await listener.stop()
            await database.close()

    app = FastAPI(
        title="Strata",
        version="0.1.0",
        summary="Customer classification that stays true and explains itself",
        description=DESCRIPTION,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # see `core.tracing`
        openapi_url=docs.URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.secret = secret
    app.state.draining = False
    app.state.cursors = CursorSigner(secret)
    problems.install(app)
    docs.install(app)
    _add_operations(app)
    for feature in features.FEATURES:
        for router in feature.routers:
            # Their prefixes are already in their paths: taking the routes as they are keeps matching flat and fast.
            app.router.routes.extend(router.routes)
    app.router.middleware_stack = Branches(app.router)
    app.add_middleware(middleware.Limits, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(middleware.Observe)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "X-Request-ID", "Retry-After"],
        )
    return app


async def _check_schema(database: Database) -> None:
    async with database.connection() as connection:
        revision = await migrations.current(connection)
    if revision != migrations.head():
        await database.close()
        raise UnknownSchema(
            f"The database is at revision {revision}, this version of Strata needs {migrations.head()}: "
            "run `strata migrate`"
        )


def _add_operations(app: FastAPI) -> None:
    """Health, readiness and metrics: for machines that run the service, outside the API document."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> Response:
        if request.app.state.draining:
            return JSONResponse({"status": "draining"}, 503, {"Retry-After": "1", "Connection": "close"})
        database: Database = request.app.state.database
        try:
            async with asyncio.timeout(2), database.connection() as connection:
                revision = await migrations.current(connection)
        except (TimeoutError, OSError, Unavailable, *CONNECTION_LOST):
            return JSONResponse({"status": "database away"}, 503, {"Retry-After": "1"})
        if revision != migrations.head():
            return JSONResponse({"status": "unknown schema", "revision": revision}, 503, {"Retry-After": "5"})
        return JSONResponse({"status": "ready", "revision": revision, "business_time": str(clock.business_now())})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4")
