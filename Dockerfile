FROM python:3.13-slim AS build

# Locked and checked by hash, so no compiler, no build backend and no development tool gets in.
COPY requirements.runtime.lock /src/
RUN python -m venv /opt/strata \
    && /opt/strata/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /src/requirements.runtime.lock

COPY app /opt/strata/src/app
COPY migrations /opt/strata/src/migrations
RUN printf '#!/opt/strata/bin/python\nfrom app.cli import main\n\nmain()\n' > /opt/strata/bin/strata \
    && chmod 755 /opt/strata/bin/strata \
    && /opt/strata/bin/python -m compileall -q /opt/strata/src


FROM python:3.13-slim

RUN useradd --no-log-init --uid 10001 --no-create-home --shell /usr/sbin/nologin strata \
    && install --directory --owner strata --group strata --mode 0750 /var/lib/strata

COPY --from=build /opt/strata /opt/strata

ENV PATH=/opt/strata/bin:$PATH \
    PYTHONPATH=/opt/strata/src \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STRATA_DATA=/var/lib/strata

USER 10001:10001
WORKDIR /var/lib/strata
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]

ENTRYPOINT ["strata"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--no-worker"]
