"""What the service promises under pressure, held for some seconds each; `make overload` holds it for a minute.

Figures of speed need a machine that does nothing else, and are not asked here; what is lost, left or wrong is.
"""

from collections.abc import Iterator

import pytest

from tests.overload import peak, scenarios, stand
from tests.overload.stand import Seen, Stand

WITH_COMPANY = "goodput, offered, p99 of what was answered, without any answer"
"""What other tests beside this one spoil."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made() -> Iterator[Stand]:
    with stand.stand() as ready:
        yield ready


def kept(seen: list[Seen], *, but: str = "") -> None:
    broken = [each for each in seen if not each.kept and each.what not in but]
    assert not broken, broken


def test_without_a_free_connection_it_says_so_and_stays_alive(made: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "HEALTHY", 1.0)
    monkeypatch.setattr(scenarios, "REFUSED_WITHIN", 4.0)
    kept(scenarios.exhausted_pool(made, seconds=4))


def test_five_times_the_peak_is_answered_or_refused(made: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand, "PATIENT", 10.0)
    kept(peak.five_times_the_peak(made, seconds=4), but=WITH_COMPANY)


def test_slow_clients_are_cut_off(made: Stand) -> None:
    kept(scenarios.slow_clients(made, seconds=3), but="slowest /healthz")


def test_aborted_downloads_leave_nothing_behind(made: Stand) -> None:
    kept(scenarios.aborted_downloads(made, seconds=0), but="slowest /healthz")


def test_rolling_restarts_fail_nobody(made: Stand) -> None:
    kept(scenarios.rolling_restarts(made, seconds=15))
