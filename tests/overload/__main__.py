"""`python -m tests.overload`: put the service under more than it can carry and show what it does.

--seconds N       how long each pressure lasts (default 60)
--only pool,peak  some of pool, peak, slow, aborted, restarts
"""

import argparse

from rich.console import Console
from rich.table import Table

from tests.overload.scenarios import SCENARIOS
from tests.overload.stand import Seen, stand


def main() -> None:
    """Every scenario; ends with 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", type=lambda names: names.split(","), default=list(SCENARIOS))
    asked = parser.parse_args()
    console = Console(width=max(120, Console().width))
    seen: list[Seen] = []
    with console.status("Importing the demonstration's customers") as status, stand() as made:
        for name in asked.only:
            status.update(f"{name}: {SCENARIOS[name].__doc__}")
            seen += SCENARIOS[name](made, seconds=asked.seconds)
    table = Table("scenario", "what", "seen", "promised", "kept")
    for each in seen:
        table.add_row(each.scenario, each.what, each.figure, each.promise, "yes" if each.kept else "[bold red]no[/]")
    console.print(table)
    raise SystemExit(0 if all(each.kept for each in seen) else 1)


if __name__ == "__main__":
    main()
