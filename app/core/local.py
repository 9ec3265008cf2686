"""Which PostgreSQL and which secret a process uses: the ones it was given, or its own in the data folder."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.embedded import EmbeddedBusy, EmbeddedPostgres
from app.core.settings import Settings

SECRET_FILE = "secret_key"  # noqa: S105  a file's name


class MissingSecret(RuntimeError):
    """A server of one's own needs a secret of one's own."""


@contextmanager
def server(settings: Settings, *, share: bool = False) -> Iterator[str]:
    """The database's URL for the length of the block.

    Without `STRATA_DATABASE_URL` the embedded PostgreSQL on the data folder is started, and stopped at the end.
    `share` uses the one that another process of this folder is running already, instead of `EmbeddedBusy`.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres(settings.data)
    try:
        url = embedded.start()
    except EmbeddedBusy:
        if not share:
            raise
        yield embedded.url
        return
    try:
        yield url
    finally:
        embedded.stop()


def secret_key(settings: Settings) -> str:
    """The key that signs tokens and cursors. Raises `MissingSecret` where one must be given."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if settings.database_url is not None:
        raise MissingSecret("Set STRATA_SECRET_KEY to 32 random characters or more: it signs everybody's tokens")
    return kept_secret(settings.data / SECRET_FILE)


def kept_secret(path: Path, *, size: int = 48) -> str:
    """A random secret, made once and kept in a file that only its owner may read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(size), "utf-8")
    return path.read_text("utf-8").strip()


@contextmanager
def throw_away_server() -> Iterator[str]:
    """A server on a folder that is gone afterwards; for checks that must not touch anybody's data."""
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as somebody else
        with EmbeddedPostgres(Path(folder) / "data", settings={"fsync": "off"}) as url:
            yield url
