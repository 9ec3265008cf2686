"""A whole installation of one's own: PostgreSQL on a small disk in memory, two API processes, two workers."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import asyncpg
import httpx

from app.core.embedded import EmbeddedPostgres
from tests.bench.processes import free_port
from tests.faults.proxy import Proxy

PASSWORD = "a password of the faults"
DISK = "900m"
_STRATA = [sys.executable, "-c", "from app.cli import main; main()"]


class NoDisk(RuntimeError):
    """A disk of limited size cannot be had here, without which a full one cannot be tried."""


class Process:
    """One of Strata's processes, started again whenever it was killed."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str, port: int | None = None) -> None:
        self.environment = environment
        self.port = port
        self._arguments = arguments
        self._log = log
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **more: str) -> None:
        with self._log.open("ab") as log:
            environment = {**self.environment, **more}
            self._running = subprocess.Popen([*_STRATA, *self._arguments], env=environment, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self._running is not None
        self._running.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, until it is gone."""
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    async def end(self) -> None:
        """Wait until it has ended."""
        assert self._running is not None
        await asyncio.to_thread(self._running.wait)

    @property
    def ended(self) -> bool:
        return self._running is None or self._running.poll() is not None


class Installation:
    """Everything that runs, and where it can be hurt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.postgres = EmbeddedPostgres(self.disk / "data", settings={"wal_keep_size": "0", "max_wal_size": "128MB"})
        # Of one thread: the server is asked by the kernel to stop when the thread ends that started it.
        self._keeper = ThreadPoolExecutor(1)
        self.apis: list[Process] = []
        self.workers: list[Process] = []
        self.url = ""
        self.proxy: Proxy

    async def start_postgres(self) -> None:
        self.url = await asyncio.get_running_loop().run_in_executor(self._keeper, self.postgres.start)

    async def stop_postgres(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._keeper, self.postgres.stop)
        self._keeper.shutdown()

    async def postgres_ended(self) -> None:
        """Wait until the postmaster is gone."""
        for _ in range(3000):
            if self.postgres.pid is None:
                return
            await asyncio.sleep(0.02)
        raise RuntimeError("PostgreSQL does not end")

    @property
    def postmaster(self) -> int:
        assert self.postgres.pid is not None
        return self.postgres.pid

    async def connection(self) -> asyncpg.Connection:
        """One of our own, past the proxy; waits for a server that is coming up."""
        for _ in range(600):
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return await asyncpg.connect(self.url, server_settings={"application_name": "faults"}, timeout=5)
            await asyncio.sleep(0.1)
        raise RuntimeError("PostgreSQL does not come back")

    async def backends(self, like: str = "strata%") -> list[int]:
        """The processes that serve these applications."""
        connection = await self.connection()
        try:
            found = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 AND datname = current_database()"
            return [row["pid"] for row in await connection.fetch(found, like)]
        finally:
            await connection.close()

    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system in memory of `DISK`. Raises `NoDisk` where nobody may mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        raise NoDisk(f"no disk can be mounted (as root it can): {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@asynccontextmanager
async def installation(folder: Path, *, webhook_host: str) -> AsyncIterator[Installation]:
    """All of it running in a folder that is made for it, for the length of the block."""
    made = Installation(folder)
    with small_disk(made.disk):
        await made.start_postgres()
        server = Path(unquote(re.search(r"host=([^&]+)", made.url)[1])) / ".s.PGSQL.5432"  # type: ignore[index]
        between = folder / "proxy"
        between.mkdir()
        proxy = Proxy(between, server)
        await proxy.start()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        common = {
            "STRATA_SECRET_KEY": "a secret that only the faults know, long enough",
            "STRATA_ADMIN_PASSWORD": PASSWORD,
            "STRATA_WEBHOOK_HTTP": "true",
            "STRATA_WEBHOOK_PRIVATE_HOSTS": f'["{webhook_host}"]',
            "STRATA_LOG_LEVEL": "WARNING",
        }
        direct = {**kept, **common, "STRATA_DATABASE_URL": made.url}
        through = {**direct, "STRATA_DATABASE_URL": re.sub(r"host=[^&]+", f"host={quote(str(between))}", made.url)}
        done = await asyncio.create_subprocess_exec(*_STRATA, "migrate", env=direct, stdout=asyncio.subprocess.DEVNULL)
        assert await done.wait() == 0, "the database cannot be migrated"
        for n in range(2):
            port = free_port()
            serve = ("serve", "--no-worker", "--port", str(port))
            made.apis.append(Process(through, folder / f"api-{n}.log", *serve, port=port))
            made.workers.append(Process(direct, folder / f"worker-{n}.log", "worker"))
        made.proxy = proxy
        try:
            for each in made.processes():
                each.start()
            await ready(made)
            yield made
        finally:
            for each in made.processes():
                if not each.ended:
                    each.signal(signal.SIGCONT)
                    each.kill()
            await proxy.stop()
            await made.stop_postgres()


async def ready(made: Installation) -> None:
    """Wait until every API says that it is ready."""
    async with httpx.AsyncClient(timeout=2) as client:
        for api in made.apis:
            for _ in range(1200):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{api.url}/readyz")).status_code == 200:
                        break
                assert not api.ended, f"{api.url} ended"
                await asyncio.sleep(0.1)
            else:
                raise RuntimeError(f"{api.url} is not ready in two minutes")
