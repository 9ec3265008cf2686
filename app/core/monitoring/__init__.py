"""Grafana's dashboard, Prometheus' alert rules for the metrics of `telemetry`, and how to back up and restore."""

from importlib.resources import files


def dashboard() -> str:
    """The dashboard's JSON, to be imported into Grafana; it asks for the Prometheus data source."""
    return files(__name__).joinpath("dashboard.json").read_text("utf-8")


def alerts() -> str:
    """The alert rules' YAML, for `rule_files` of Prometheus."""
    return files(__name__).joinpath("alerts.yml").read_text("utf-8")


def runbook() -> str:
    """How to back up and restore, as Markdown; a test runs its blocks."""
    return files(__name__).joinpath("runbook.md").read_text("utf-8")
