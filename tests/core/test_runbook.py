"""The blocks of the runbook are run, in its order, on servers of their own: a dump, and a moment of the past."""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.core import embedded, monitoring
from app.core.embedded import EmbeddedPostgres
from app.core.settings import Settings
from app.main import create_app

BLOCK = re.compile(r"^```sh ([a-z-]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PASSWORD = "a password of the runbook"
SECRET = "the secret that is kept beside the backups"
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers, a folder of backups, and the programs on a path of their own."""

    folder: Path
    programs: Path
    account: embedded._Account
    used: str
    other: str

    @property
    def environment(self) -> dict[str, str]:
        password = re.search(r"strata:([^@]+)@", self.used)[1]  # type: ignore[index]
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STRATA_DATABASE_URL": self.used,
            "STRATA_ADMIN_PASSWORD": PASSWORD,
            "STRATA_SECRET_KEY": SECRET,
            "BACKUPS": str(self.folder / "backups"),
            "RESTORED_URL": self.other.replace("/strata?", "/restored?"),
            "RESTORED_DATA": str(self.folder / "restored"),
            "RESTORED_SERVER_URL": f"postgresql://strata:{password}@/strata?host={quote(str(self.folder))}&port=5499",
        }

    def run(self, block: str, **more: str) -> str:
        """What it prints; every command of it must succeed."""
        script = f"set -euo pipefail\n{dict(BLOCK.findall(monitoring.runbook()))[block]}"
        environment = {**self.environment, **more}
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def strata(self, *arguments: str) -> str:
        done = subprocess.run(["strata", *arguments], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Where any user may enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="strata-runbook-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        archive, backups = folder / "backups" / "archive", folder / "backups"
        backups.mkdir()
        archive.mkdir()
        archive.chmod(0o777)
        keeping = {
            "wal_level": "replica",
            "archive_mode": "on",
            "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/part && mv {archive}/part {archive}/%f",
        }
        used = EmbeddedPostgres(folder / "used", settings=keeping)
        other = EmbeddedPostgres(folder / "other", settings={"fsync": "off"})
        account = embedded._Account.of(folder / "used")
        with used as used_url, other as other_url, programs(folder, account) as found:
            made = Place(folder, found, account, used_url, other_url)
            yield made
            data = folder / "restored"
            subprocess.run([str(found / "pg_ctl"), f"--pgdata={data}", "--mode=immediate", "stop"], check=False)


@contextmanager
def programs(folder: Path, account: embedded._Account) -> Iterator[Path]:
    """PostgreSQL's and our own; `pg_ctl` as somebody who is not root, as an operator would call it."""
    real = embedded._find_programs(account)
    path = folder / "programs"
    path.mkdir()
    for program in real.iterdir():
        (path / program.name).symlink_to(program)
    strata = path / "strata"
    strata.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from app.cli import main; main()" "$@"\n')
    strata.chmod(0o755)
    if os.geteuid() == 0:
        user = account.uid if account.uid >= 0 else pwd.getpwnam("nobody").pw_uid
        pg_ctl = path / "pg_ctl"
        pg_ctl.unlink()
        drop = f"setpriv --reuid={user} --regid={account.gid} --clear-groups"
        pg_ctl.write_text(f'#!/bin/sh\nchown -R {user} {folder}/restored\ncd /\nexec {drop} {real}/pg_ctl "$@"\n')
        pg_ctl.chmod(0o755)
        shutil.which("setpriv") or pytest.fail("setpriv (util-linux) is needed to run PostgreSQL as somebody else")
    yield path


def ask(url: str, *questions: str) -> Any:
    async def answer() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(question) for question in questions][-1]
        finally:
            await connection.close()

    return asyncio.run(answer())


class Client:
    """The API on one of the databases, for as long as one call takes."""

    def __init__(self, url: str) -> None:
        self.url = url

    def send(self, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
        """One after the other, as the administrator; a path may ask for the id of the answer before with `{}`."""

        async def all_of() -> list[httpx.Response]:
            app = create_app(url=self.url, secret=SECRET, settings=Settings())
            transport = httpx.ASGITransport(app=app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://t") as http,
            ):
                login = await http.post("/v1/auth/token", data={"username": "admin", "password": PASSWORD})
                http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
                return [await http.request(method, path, json=body) for method, path, body in calls]

        return asyncio.run(all_of())


def test_a_dump_is_restored_on_another_server_and_its_events_go_on(place: Place) -> None:
    place.strata("migrate")
    # So that this server's transactions are far ahead of the other's.
    ask(place.used, "DO $$ BEGIN FOR n IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    client = Client(place.used)
    forgotten, kept, hook = client.send(
        ("POST", "/v1/customers", {"name": "to be forgotten"}),
        ("POST", "/v1/customers", {"name": "kept"}),
        ("POST", "/v1/webhooks", {"url": "https://hooks.example.com/", "types": ["customer.created"], "active": True}),
    )
    assert (forgotten.status_code, kept.status_code, hook.status_code) == (201, 201, 201)
    (page,) = client.send(("GET", "/v1/events?types=customer.created", None))
    before = [event["id"] for event in page.json()["items"]]
    assert len(before) == 2
    cursor = page.json()["next_cursor"]

    place.run("dump")
    (erased,) = client.send(("POST", f"/v1/customers/{forgotten.json()['id']}/erasure", {"reason": "it was asked for"}))
    assert erased.status_code < 300, erased.text
    (place.folder / "backups" / "tombstones.ndjson").write_text(place.strata("tombstones"))

    ask(place.other, "CREATE DATABASE restored")
    printed = place.run("restore-dump")
    assert "1 erased" in printed

    restored = place.environment["RESTORED_URL"]
    assert ask(restored, "SELECT count(*) FROM customer WHERE name = 'to be forgotten'") == 0
    assert ask(restored, "SELECT count(*) FROM customer WHERE name = 'kept'") == 1
    here = Client(restored)
    new, known, foreign = here.send(
        ("POST", "/v1/customers", {"name": "after the restore"}),
        ("GET", "/v1/events?types=customer.created", None),
        ("GET", f"/v1/events?types=customer.created&cursor={cursor}", None),
    )
    assert new.status_code == 201
    told = [event["id"] for event in known.json()["items"]]
    assert told[:2] == before, "the events that came with the dump stand first, in their order"
    assert len(told) == 3
    assert foreign.status_code == 422, "the cursor of another server"
    assert foreign.json()["type"].endswith("invalid-cursor")
    behind = "SELECT count(*) FROM outbox_event e, webhook w WHERE e.name = 'customer.created'"
    behind += " AND (e.transaction_id, e.id) > (w.after_transaction_id, w.after_event_id)"
    assert ask(restored, behind) == 1, "the webhook goes on with what is new"


def test_a_server_goes_back_to_a_moment(place: Place) -> None:
    client = Client(place.used)
    # The servers of the tests are told these on the command line, which goes before; the copy finds them in its files.
    for name, value in {"listen_addresses": "", "port": "5499", "unix_socket_directories": place.folder}.items():
        ask(place.used, f"ALTER SYSTEM SET {name} = '{value}'")
    place.run("base-backup")
    (early,) = client.send(("POST", "/v1/customers", {"name": "before the mistake"}))
    assert early.status_code == 201
    moment = ask(place.used, "SELECT clock_timestamp()::text")
    ask(place.used, "SELECT pg_sleep(0.2)", "UPDATE customer SET name = 'a mistake'", "SELECT pg_switch_wal()")
    for _ in range(200):
        if ask(
            place.used, "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) FROM pg_stat_archiver"
        ):
            break
        ask(place.used, "SELECT pg_sleep(0.1)")
    (place.folder / "restored").mkdir(mode=0o700)
    place.folder.chmod(0o777)  # for the socket
    place.run("restore-moment", MOMENT=moment)
    restored = place.environment["RESTORED_SERVER_URL"]
    assert ask(restored, "SELECT count(*) FROM customer WHERE name = 'a mistake'") == 0
    assert ask(restored, "SELECT count(*) FROM customer WHERE name = 'before the mistake'") == 1
