"""The command line as people use it: real processes, real signals, nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.core import db
from app.core.db import Database, WrongServer
from app.core.settings import get_settings

pytestmark = pytest.mark.slow

STRATA = [sys.executable, "-c", "from app.cli import main; main()"]
PASSWORD = "a password of the test"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that PostgreSQL's own user can enter when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="strata-cli-") as made:
        Path(made).chmod(0o755)
        yield Path(made) / "data"


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
    return {**kept, "STRATA_DATA": str(folder), "STRATA_ADMIN_PASSWORD": PASSWORD, "COLUMNS": "120", **more}


def strata(*arguments: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*STRATA, *arguments]
    return subprocess.run(command, env=environment(folder, **more), capture_output=True, text=True, timeout=120)


def servers_of(folder: Path) -> list[str]:
    """Processes that run PostgreSQL on this folder."""
    found = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if str(folder) in line and "postgres" in line]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`strata serve` until the block ends, ready when the block begins."""
    port = free_port()
    command = [*STRATA, "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment(folder, STRATA_LOG_LEVEL="ERROR", **more))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_ready(process, client)
            yield process, client
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "serve ended before it was ready"
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("serve was not ready in a minute")


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 15
    while servers_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not servers_of(folder)


def log_in(client: httpx.Client) -> None:
    answer = client.post("/v1/auth/token", data={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def test_the_demonstration_shows_classes_and_imports_nothing_twice(folder: Path) -> None:
    first = strata("demo", "--no-serve", folder=folder)
    assert first.returncode == 0, first.stderr
    assert "6,919 accepted, 0 rejected" in first.stdout
    assert re.search(r"│ A\s+│ 777\s+│ 33.0%\s+│ 195,302.59", first.stdout)
    assert re.search(r"│ R5 │( +[\d,]+ +│){4} +[1-9][\d,]* +│", first.stdout)
    assert all(word in first.stdout for word in ("RFM segments", "Lifecycle", "R5", "monetary ≥"))
    assert gone(folder)
    second = strata("demo", "--no-serve", folder=folder)
    assert second.returncode == 0, second.stderr
    assert "nothing is imported twice" in second.stdout
    assert "│ 777" in second.stdout


def test_serve_stops_cleanly_and_recovers_from_a_kill(folder: Path) -> None:
    with serving(folder, STRATA_TODAY="1998-07-01") as (process, client):
        assert client.get("/readyz").json()["business_time"].startswith("1998-07-01")
        log_in(client)
        made = client.post("/v1/customers", json={"name": "Kept"}).json()
        assert servers_of(folder)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert gone(folder)
    with serving(folder) as (process, client):
        log_in(client)
        assert client.get(f"/v1/customers/{made['id']}").json()["name"] == "Kept"
        again = client.post("/v1/customers", json={"name": "Kept too"}).json()
        process.kill()
        process.wait()
    with serving(folder) as (process, client):
        log_in(client)
        assert client.get(f"/v1/customers/{again['id']}").json()["name"] == "Kept too"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert gone(folder)


def test_import_and_recalculate_report_what_they_did(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("who,when,paid\nC-1,2020-01-02,10.50\nC-2,yesterday,1\nC-1,2020-02-02,3\nC-3,2020-03-01,0.5\n")
    mapping = ["--map", "customer_ref=who", "--map", "occurred_at=when", "--map", "amount=paid"]
    options = ["--create-customers", "--skip-when", "who=C-3"]
    imported = strata("import", str(file), *mapping, *options, folder=folder)
    assert imported.returncode == 0, imported.stderr
    assert "2 accepted, 1 rejected, 1 skipped" in imported.stdout
    assert "occurred_at" in imported.stdout
    wrong = strata("import", str(file), "--map", "amount=price", folder=folder)
    assert wrong.returncode == 2
    assert "/body/mapping/amount" in wrong.stdout
    done = strata("recalculate", "abc", "--as-of", "2020-06-30", "--refit", folder=folder)
    assert done.returncode == 0, done.stderr
    predicted = strata("predict", "--as-of", "2020-06-30", folder=folder)
    assert predicted.returncode == 0, predicted.stderr
    assert "Not estimable: too few customers" in predicted.stdout
    unknown = strata("recalculate", "nothing", folder=folder)
    assert unknown.returncode == 2
    assert "there is no scheme nothing" in unknown.stdout
    assert gone(folder)


async def test_check_says_what_holds_and_what_does_not(url: str) -> None:
    checked = strata("check", folder=Path("unused"), STRATA_DATABASE_URL=url)
    assert checked.returncode == 0, checked.stderr
    assert "Every promise holds" in checked.stdout
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO customer_class (customer_id, scheme, class, since, as_of, version)"
        " VALUES (uuidv7(), 'abc', 'A', now(), now(), 1)"
    )
    wrong = strata("check", folder=Path("unused"), STRATA_DATABASE_URL=url)
    assert wrong.returncode == 1
    assert "2 violations" in wrong.stdout
    assert "scheme abc, stands A, replayed None" in " ".join(wrong.stdout.replace("│", " ").split())
    await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    await connection.close()
    other = strata("check", folder=Path("unused"), STRATA_DATABASE_URL=url)
    assert other.returncode == 1
    assert "is at revision 0001" in other.stderr


def test_every_command_has_help() -> None:
    commands = ("serve", "worker", "migrate", "import", "recalculate", "predict", "check", "openapi", "demo")
    listed = strata("--help", folder=Path("unused"))
    assert all(command in listed.stdout for command in commands)
    as_a_module = [sys.executable, "-m", "app.cli", "--help"]
    said = subprocess.run(as_a_module, capture_output=True, text=True, check=True, timeout=60).stdout
    assert all(command in said for command in commands)


async def test_an_older_server_is_refused_by_name(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "MINIMUM_VERSION", 99)
    with pytest.raises(WrongServer, match=r"needs PostgreSQL 99 or newer; this server is 18"):
        await Database.connect(url, get_settings())


def test_a_server_of_ones_own_needs_a_secret(url: str) -> None:
    answer = strata("serve", folder=Path("unused"), STRATA_DATABASE_URL=url)
    assert answer.returncode == 1
    assert "STRATA_SECRET_KEY" in answer.stderr


def test_a_server_that_is_not_there_is_one_line(folder: Path) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    answer = strata("migrate", folder=folder, STRATA_DATABASE_URL=nowhere)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
