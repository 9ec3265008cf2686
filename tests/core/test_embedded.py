"""The embedded server, started for real."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.core.embedded import EmbeddedBusy, EmbeddedError, EmbeddedPostgres

FAST = {"fsync": "off", "shared_buffers": "16MB"}

OWNER = """
import sys, time
from pathlib import Path
from app.core import embedded
if "--unnoticed" in sys.argv:
    embedded._prctl = None  # as on systems where the kernel cannot tell the server that its owner died
server = embedded.EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"})
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data folder that any user may enter: pytest's own are root's alone when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="strata-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data, settings=FAST)
    yield server
    server.stop()


@pytest.fixture
def owner(data: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that has started a server on the folder; `owner.stdout` tells the server's pid."""
    arguments = [sys.executable, "-c", OWNER, str(data), *getattr(request, "param", ())]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def ask(url: str, question: str) -> Any:
    async def answer() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(answer())


def server_pid(owner: subprocess.Popen[str]) -> int:
    assert owner.stdout is not None
    return int(owner.stdout.readline())


def lives(pid: int) -> bool:
    """A zombie, which waits for a parent that may never ask, is dead."""
    try:
        os.kill(pid, 0)
        return not Path("/proc/self").exists() or ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 10
    while lives(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)


def test_an_empty_folder_becomes_a_server_that_answers(server: EmbeddedPostgres) -> None:
    with server as url:
        assert ask(url, "SHOW server_version_num") >= "180000"
        assert ask(url, "SELECT current_database() || current_user") == "stratastrata"
        assert ask(url, "SHOW data_checksums") == "on"
        assert ask(url, "SELECT upper('é')") == "É"
        assert ask(url, "SHOW listen_addresses") == ""


def test_nobody_gets_in_without_the_password(server: EmbeddedPostgres) -> None:
    url = server.start()
    password = server.data / "postgres" / "password"
    assert password.stat().st_mode & 0o777 == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(url.replace(password.read_text(), "guess"), "SELECT 1")


def test_a_second_start_finds_what_the_first_one_wrote_under_the_same_url(server: EmbeddedPostgres) -> None:
    with server as first:
        ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    with server as second:
        assert second == first
        assert ask(second, "SELECT answer FROM kept") == 42
        ask(second, "DROP TABLE kept")


def test_stop_leaves_no_process_and_no_claim(server: EmbeddedPostgres) -> None:
    url = server.start()
    backends = ask(url, "SELECT array_agg(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    postmaster = server.pid
    assert postmaster is not None
    server.stop()
    assert not any(map(lives, [postmaster, *backends]))
    assert server.pid is None
    with EmbeddedPostgres(server.data, settings=FAST) as again:
        assert ask(again, "SELECT 1") == 1


def test_a_folder_in_use_is_refused_and_the_message_names_the_process(
    server: EmbeddedPostgres, owner: subprocess.Popen[str]
) -> None:
    server_pid(owner)
    with pytest.raises(EmbeddedBusy, match=f"in use by process {owner.pid}") as refusal:
        server.start()
    assert refusal.value.pid == owner.pid
    assert ask(server.url, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_server_follows_an_owner_killed_without_warning(owner: subprocess.Popen[str]) -> None:
    postmaster = server_pid(owner)
    owner.kill()
    wait_for_the_end_of(postmaster)


@pytest.mark.parametrize("owner", [["--unnoticed"]], indirect=True)
def test_a_server_that_survives_its_killed_owner_is_replaced_and_loses_nothing(
    server: EmbeddedPostgres, owner: subprocess.Popen[str]
) -> None:
    orphan = server_pid(owner)
    ask(server.url, "CREATE TABLE survived AS SELECT 42 AS answer")
    owner.kill()
    owner.wait()
    assert lives(orphan)
    with server as url:
        assert not lives(orphan)
        assert ask(url, "SELECT answer FROM survived") == 42
        ask(url, "DROP TABLE survived")


def test_a_killed_server_starts_again_under_the_same_url(server: EmbeddedPostgres) -> None:
    url = server.start()
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_for_the_end_of(killed)
    assert server.start() == url
    assert ask(url, "SELECT 1") == 1


def test_a_stale_pid_file_that_names_a_stranger_is_neither_believed_nor_acted_upon(server: EmbeddedPostgres) -> None:
    with server:
        pass
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (server.data / "postgres" / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n/nowhere\n")
        with server as url:
            assert ask(url, "SELECT 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    with pytest.raises(EmbeddedError, match="shared_buffer_typo"):
        EmbeddedPostgres(data, settings=FAST | {"shared_buffer_typo": "1"}).start()


def test_a_path_too_long_for_a_socket_works(data: Path) -> None:
    with EmbeddedPostgres(data.parent / "a long, strange name".ljust(100, "!"), settings=FAST) as url:
        assert ask(url, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns folders that the server's user cannot enter")
def test_root_may_use_a_folder_that_only_root_can_enter(data: Path) -> None:
    closed = data.parent / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "data", settings=FAST)
    try:
        with server as url:
            assert ask(url, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree((server.data / "postgres").resolve())
