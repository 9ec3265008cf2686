"""Generators make clients of the API document; with each, a program does the same against the running service.

It logs in, imports a file, waits for it, lists a class, explains a customer's class, pages through all customers, and
understands a problem: `python/example.py` and its siblings.
"""

import asyncio
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from app.main import create_app
from tests.api_operations import DOCUMENT
from tests.conftest import ADMIN_PASSWORD, SECRET
from tests.service import listening

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CACHE = Path(__file__).parents[2] / ".data" / "clients"
TOOLS = Path(sys.executable).parent
ORDERS = HERE / "orders.csv"
JARS = Path("/usr/share/java")
PRINTED = """\
logged in as admin
import queued
import completed: 6 accepted, 1 rejected
line 8: amount: 'two' is no decimal number such as 1234.50
class A: C-1
A: monetary 8450 gte 8450: yes
B: monetary 8450 gte 480: yes
page of 2
C-1: A
C-2: B
page of 2
C-3: B
C-4: C
page of 1
C-5: C
422 The request is not valid: /body/amount: at most 4 digits after the point
"""


@pytest.fixture
def openapi(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


@pytest.fixture
def address(url: str) -> Iterator[str]:
    """Of the running service, with its worker."""
    with listening(create_app(url=url, secret=SECRET, with_worker=True)) as where:
        yield where


async def run(*command: str | Path, cwd: Path) -> str:
    """What the program printed; it must have succeeded."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=300)
    finally:
        if process.returncode is None:
            process.kill()
    text = said.decode()
    assert process.returncode == 0, text[-4000:]
    return text


def missing(what: str) -> NoReturn:
    """Skips the test where somebody's machine has not what it needs; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


async def node_modules() -> Path:
    """The generators of typescript/package-lock.json, installed once."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node and npm are not on this machine: the TypeScript clients are not checked")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "installing").open("w") as installing:
        await asyncio.to_thread(fcntl.flock, installing, fcntl.LOCK_EX)  # tests side by side need it at once
        lock = (HERE / "typescript" / "package-lock.json").read_text()
        done = CACHE / "installed.json"
        if not done.exists() or done.read_text() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / "typescript" / name, CACHE / name)
            try:
                await run(str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=CACHE)
            except AssertionError as error:
                if "EINTEGRITY" in str(error):
                    raise
                missing(f"the generators cannot be installed here: {str(error)[-300:]}")
            done.write_text(lock)
    return CACHE / "node_modules"


async def use_typescript(modules: Path, example: str, address: str, folder: Path) -> str:
    """What the example prints; it, and the client beside it, must pass the strictest check of types."""
    (folder / "node_modules").symlink_to(modules)
    place(folder, "tsconfig.json")
    shutil.copy(HERE / "typescript" / example, folder / "example.ts")
    bundle = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning", "--outfile=example.mjs")
    await asyncio.gather(
        run(modules / ".bin" / "tsc", "--project", "tsconfig.json", cwd=folder),
        run(modules / ".bin" / "esbuild", "example.ts", *bundle, cwd=folder),
    )
    return await run("node", "example.mjs", address, ADMIN_PASSWORD, ORDERS, cwd=folder)


def place(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copy(HERE / "typescript" / name, folder / name)


async def test_the_document_has_nothing_that_a_linter_minds(openapi: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(await node_modules())
    place(tmp_path, "lint.mjs")
    await run("node", "lint.mjs", openapi, cwd=tmp_path)


async def test_a_typescript_program_with_openapi_typescript(openapi: Path, address: str, tmp_path: Path) -> None:
    modules = await node_modules()
    options = ("--default-non-nullable=false", "--output", "strata.ts")
    said = await run(modules / ".bin" / "openapi-typescript", openapi, *options, cwd=tmp_path)
    assert "warn" not in said.lower(), said
    assert await use_typescript(modules, "openapi-typescript.ts", address, tmp_path) == PRINTED


async def test_a_typescript_program_with_hey_api(openapi: Path, address: str, tmp_path: Path) -> None:
    modules = await node_modules()
    options = ("--output", "strata", "--client", "@hey-api/client-fetch")
    said = await run(modules / ".bin" / "openapi-ts", "--input", openapi, *options, cwd=tmp_path)
    assert "warn" not in said.lower(), said
    assert await use_typescript(modules, "hey-api.ts", address, tmp_path) == PRINTED


async def test_a_typescript_program_with_orval(openapi: Path, address: str, tmp_path: Path) -> None:
    modules = await node_modules()
    place(tmp_path, "orval.config.ts", "orval-fetch.ts")
    said = await run(modules / ".bin" / "orval", "--config", "orval.config.ts", cwd=tmp_path)
    assert "warn" not in said.lower(), said
    assert await use_typescript(modules, "orval.ts", address, tmp_path) == PRINTED


async def test_a_python_program_with_openapi_python_client(openapi: Path, address: str, tmp_path: Path) -> None:
    config = HERE / "python" / "openapi-python-client.yaml"
    generate = (TOOLS / "openapi-python-client", "generate", "--path", openapi, "--meta", "none", "--config", config)
    await run(*generate, "--output-path", "strata_client", "--fail-on-warning", cwd=tmp_path)
    shutil.copy(HERE / "python" / "example.py", tmp_path / "example.py")
    checked = ("example.py", "strata_client")
    _, printed = await asyncio.gather(
        run(TOOLS / "mypy", "--strict", "--config-file", os.devnull, *checked, cwd=tmp_path),
        run(sys.executable, "example.py", address, ADMIN_PASSWORD, ORDERS, cwd=tmp_path),
    )
    assert printed == PRINTED


def class_path() -> str:
    """What the Java client needs: the generator's own jar brings Jackson and Apache's client, Debian the rest."""
    generator = find_spec("openapi_generator_cli")
    folders = generator.submodule_search_locations if generator is not None else None
    if shutil.which("javac") is None or not folders:
        missing("javac or openapi-generator is not on this machine: the Java client is not checked")
    jars = [JARS / "httpmime.jar", JARS / "jakarta-annotation-api.jar"]
    if not all(jar.exists() for jar in jars):
        missing("apt-get install libhttpmime-java libjakarta-annotation-api-java: the Java client is not checked")
    return ":".join([f"{next(iter(folders))}/openapi-generator.jar", *map(str, jars)])


async def test_a_java_program_with_openapi_generator(openapi: Path, address: str, tmp_path: Path) -> None:
    jars = class_path()
    brief = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # programs that end before they are worth optimising
    options = ("--config", HERE / "java" / "openapi-generator.json", "--generate-alias-as-model")
    generate = ("java", *brief, "-cp", jars, "org.openapitools.codegen.OpenAPIGenerator", "generate")
    await run(*generate, "--input-spec", openapi, "--output", "client", *options, cwd=tmp_path)
    sources = [str(path) for path in (tmp_path / "client" / "src" / "main").rglob("*.java")]
    (tmp_path / "sources").write_text("\n".join([*sources, str(HERE / "java" / "Example.java")]))
    compile_all = ("javac", *(f"-J{each}" for each in brief), "-proc:none", "-nowarn", "-cp", jars)
    await run(*compile_all, "-d", "classes", "@sources", cwd=tmp_path)
    printed = await run(
        "java", *brief, "-cp", f"classes:{jars}", "Example", address, ADMIN_PASSWORD, ORDERS, cwd=tmp_path
    )
    assert printed == PRINTED
