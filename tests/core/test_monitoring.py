"""What watches the service asks for what it exposes, and the settings say what they are for."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from app.core import monitoring, telemetry
from app.core.settings import Settings, described

STRATA = [sys.executable, "-c", "from app.cli import main; main()"]
_METRICS = (
    telemetry.requests,
    telemetry.requests_in_flight,
    telemetry.requests_refused,
    telemetry.jobs,
    telemetry.events,
    telemetry.mails,
)
METRIC = re.compile(r"\bstrata_\w+")


def exposed() -> dict[str, set[str]]:
    """Each name that Prometheus can be asked for, and its labels."""
    found: dict[str, set[str]] = {}
    for metric in _METRICS:
        [family] = metric.describe()
        endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}[family.type]
        for ending in endings:
            found[family.name + ending] = {*metric._labelnames, *({"le"} if ending == "_bucket" else ())}
    return found


def asked() -> list[str]:
    panels = json.loads(monitoring.dashboard())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [rule["expr"] for group in yaml.safe_load(monitoring.alerts())["groups"] for rule in group["rules"]]
    return shown + rules


def test_the_list_of_metrics_is_what_the_registry_holds() -> None:
    names = {family.name for family in telemetry.registry.collect()}
    assert names == {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in exposed()}


@pytest.mark.parametrize("expression", asked())
def test_what_is_asked_for_is_exposed_with_its_labels(expression: str) -> None:
    names = METRIC.findall(expression)
    assert names
    assert set(names) <= exposed().keys()
    known = {label for name in names for label in exposed()[name]} | {"instance"}
    grouped = [label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")]
    matched = [label for braces in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)[=!]", braces)]
    assert {*grouped, *matched} <= known


def test_every_metric_is_on_the_dashboard_and_explained() -> None:
    shown = {re.sub(r"_(bucket|count|sum|total)$", "", name) for each in asked() for name in METRIC.findall(each)}
    for family in telemetry.registry.collect():
        assert family.name in shown
        assert family.documentation


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for group in yaml.safe_load(monitoring.alerts())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"]


def test_every_setting_says_what_it_is_for() -> None:
    assert [variable for variable, _, _ in described()] == [f"STRATA_{name.upper()}" for name in Settings.model_fields]
    assert [variable for variable, _, meaning in described() if not meaning] == []


@pytest.mark.parametrize("key", ["short", "a" * 40, "changeme" * 4, "0123456789" * 4, "abc" * 20])
def test_a_weak_secret_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        Settings(secret_key=key)


def test_a_random_secret_is_taken() -> None:
    key = "9f8b1c0e5d7a42369f8b1c0e5d7a4237"
    assert Settings(secret_key=key).secret_key is not None


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
    return subprocess.run([*STRATA, *arguments], env={**kept, **more}, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_start_with_a_weak_secret_is_refused_without_quoting_it() -> None:
    answer = command("serve", STRATA_SECRET_KEY="hunter2" * 6, STRATA_DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert answer.returncode == 1
    assert "STRATA_SECRET_KEY: " in answer.stderr
    assert "hunter2" not in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_the_commands_print_what_the_package_holds() -> None:
    assert command("dashboard").stdout == monitoring.dashboard()
    assert command("alerts").stdout == monitoring.alerts()
    table = command("settings").stdout.splitlines()
    assert len(table) == len(described()) + 2
