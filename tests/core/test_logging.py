"""What is logged is what is documented: nobody finds a field in the logs that no list explains."""

import ast
import io
import json
import logging as standard
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from app.core import logging
from tests.conftest import RunJobs
from tests.core.test_worker_endpoint import free_port
from tests.test_cli import wait_until_ready

LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
ALWAYS = {"timestamp", "level", "event"}
BY_PROCESSORS = {"exception", "stack"}
"""Made of `exc_info` by the processors."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(Path(logging.__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_log(node.func):
                yield f"{path.name}:{node.lineno}", node


def _is_log(function: ast.Attribute) -> bool:
    by_name = isinstance(function.value, ast.Name) and function.value.id == "log" and function.attr in LEVELS
    return by_name or (function.attr == "log" and "get_logger" in ast.unparse(function.value))


def test_every_field_that_the_code_logs_is_documented_and_the_other_way_round() -> None:
    logged = {(where, word.arg) for where, call in calls() for word in call.keywords if word.arg is not None}
    assert len(logged) > 20
    logged = {each for each in logged if each[1] != "exc_info"}
    assert [each for each in sorted(logged) if each[1] not in logging.FIELDS] == []
    by_hand = {"template"}  # only where a library's words are a template
    assert logging.FIELDS.keys() - {name for _, name in logged} == ALWAYS | BY_PROCESSORS | by_hand
    assert all(logging.FIELDS.values())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Tells all that was logged since the test began."""
    said = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", said)
        logging.configure("DEBUG", pretty=False)
    yield lambda: [json.loads(line) for line in said.getvalue().splitlines()]
    logging.configure("CRITICAL", pretty=False)


def test_a_field_that_nobody_documented_does_not_leave_the_process(lines: Any) -> None:
    structlog.get_logger("test").info("tried", job="a.job", customer="Canary Birdsong")
    [line] = lines()
    assert line.keys() == {*ALWAYS, "job"}


def test_libraries_are_quoted_without_values(lines: Any) -> None:
    standard.getLogger("library.one").warning("the phone of %s is wrong", "Canary Birdsong")
    standard.getLogger("library.two").error("Canary Birdsong is " + "wrong")
    try:
        raise ValueError("Canary Birdsong")
    except ValueError:
        standard.getLogger("library.three").exception("failed")
    standard.getLogger("library.four").info("not worth a line")
    said = lines()
    assert "Canary" not in json.dumps(said)
    assert [line["logger"] for line in said] == ["library.one", "library.two", "library.three"]
    assert said[0]["template"] == "the phone of %s is wrong"
    assert said[2]["exception"] == "ValueError"
    assert all(line.keys() <= logging.FIELDS.keys() and line["event"] == "library" for line in said)


async def test_requests_and_jobs_log_documented_fields(lines: Any, admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    answer = await admin.post("/v1/recalculations", json={})
    assert answer.status_code == 202, answer.text
    await admin.get("/v1/customers", params={"limit": "0"})
    await run_jobs()
    said = lines()
    assert {line["event"] for line in said} >= {"request"}
    assert all(ALWAYS <= line.keys() <= logging.FIELDS.keys() for line in said)


@pytest.mark.slow
def test_all_that_a_process_says_is_lines_of_documented_fields(url: str) -> None:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
    own = {"STRATA_DATABASE_URL": url, "STRATA_SECRET_KEY": "9f8b1c0e5d7a42369f8b1c0e5d7a4237"}
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=kept | own | {"STRATA_LOG_LEVEL": "DEBUG"}, stderr=subprocess.PIPE) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_ready(process, client)
            assert client.get("/v1/me").status_code == 401
            assert client.post("/v1/auth/token", content=b"\xff").status_code >= 400
        process.terminate()
        _, said = process.communicate(timeout=30)
    written = [json.loads(line) for line in said.splitlines()]
    assert {line["event"] for line in written} >= {"request"}
    assert all(ALWAYS <= line.keys() <= logging.FIELDS.keys() for line in written)


@pytest.mark.slow
def test_the_command_prints_them_all() -> None:
    command = [sys.executable, "-c", "from app.cli import main; main()", "log-fields"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert [line.split("`")[1] for line in printed.splitlines()[2:]] == list(logging.FIELDS)
