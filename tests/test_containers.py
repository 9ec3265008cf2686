"""`compose.yaml` sets what there is to set, and starts commands that there are. Its schema: `make containers`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from typer.main import get_command

from app.cli import cli
from app.core.settings import described

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "strata")
VARIABLE = re.compile(r"\$\{(\w+)")


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    assert SERVICES[name]["environment"].keys() <= {variable for variable, _, _ in described()}


def test_every_variable_that_must_be_given_is_told_at_the_top() -> None:
    head = TEXT.partition("x-strata")[0]
    needed = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert needed == set(re.findall(r"export (\w+)=", head))
    assert set(VARIABLE.findall(TEXT)) - needed == set(re.findall(r"\$\{(\w+):-", TEXT)), "the others have defaults"


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_the_command_line(name: str) -> None:
    command, *options = SERVICES[name]["command"]
    known = get_command(cli).commands[command]  # type: ignore[attr-defined]  # a group, as it has several commands
    known.make_parser(known.make_context(command, list(options), resilient_parsing=True)).parse_args(list(options))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_who_is_waited_for_can_become_what_is_waited_for(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        awaited = SERVICES[other]
        if wanted["condition"] == "service_healthy":
            assert "test" in awaited["healthcheck"]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert awaited.get("restart", "no") == "no", "what is started again never completes"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_volume_is_declared(name: str) -> None:
    named = {volume.partition(":")[0] for volume in SERVICES[name].get("volumes", [])}
    assert named <= COMPOSE["volumes"].keys()


def test_each_is_asked_for_its_health_where_it_answers() -> None:
    port = SERVICES["worker"]["environment"]["STRATA_WORKER_PORT"]
    assert f":{port}/healthz" in SERVICES["worker"]["healthcheck"]["test"][-1]
    served = SERVICES["api"]["command"][SERVICES["api"]["command"].index("--port") + 1]
    assert f":{served}/healthz" in (ROOT / "Dockerfile").read_text("utf-8")


def test_what_the_readme_says_of_settings_is_so() -> None:
    """It names those that most need; `strata settings` has them all."""
    text = (ROOT / "README.md").read_text("utf-8")
    known = {variable: default for variable, default, _ in described()}
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `STRATA_")]
    assert len(rows) > 10
    assert set(re.findall(r"STRATA_[A-Z_]+", text)) <= known.keys()
    for _, variables, said, _ in rows:
        stated = re.findall(r"\(`?([^()`]+)`?\)", said)
        shown = [known[variable] for variable in re.findall(r"STRATA_[A-Z_]+", variables)]
        assert all(default in shown for default in stated if re.fullmatch(r"\d+|[A-Z]{3}", default)), said
