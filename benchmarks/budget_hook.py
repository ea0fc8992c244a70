"""What the price of the pools adds to a preview: ``.venv/bin/python -m benchmarks.budget_hook``.

In a fresh interpreter each time, as Pulumi starts one: the program's own imports first; then, as in a
preview, statsmodels is loaded while the cloud is asked, played here by waiting; then what the hook takes: a
year's hourly ledger read, a raise of three pools priced, and what would fit found.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from allocation import ledger
from allocation.times import HOUR
from benchmarks.allocation import HOURLY_YEAR, written
from benchmarks.figures import Figure, show
from lab import paths

RUNS = 5
MEANWHILE_S = 2.0
"""For surveying the cloud, and for the engine's look at network and cluster: an assumption. A whole preview
that changes nothing takes 3.5 s in the lab, where the cloud is as near as can be."""

PROGRAM = """
import sys, time
import pulumi, pulumi_kubernetes, pulumi_openstack, openstack
from components import jupyterhub, node_pools
from stacks.settings import Settings
from stacks.settings_budget import Budget
from stacks.settings_cluster import Cluster

from allocation.plan import Pool
from stacks.forecast_hook import load_early, price
from stacks.price_table import refusal, table

settings = Settings.model_construct(
    flavors={}, cluster=Cluster(template="kubernetes"), budget=Budget(ledger=sys.argv[1], policy="enforce")
)

def pools(most):
    flavors = {"low": "m3.quad", "high": "m3.medium", "large": "m3.large"}
    return {name: Pool(flavor=flavor, min=most // 2, max=most) for name, flavor in flavors.items()}

load_early(settings)
time.sleep(float(sys.argv[3]))
began = time.perf_counter()
change, _ = price(settings, pools(2), pools(200), now=float(sys.argv[2]))
table(change), refusal(change)
print(time.perf_counter() - began, change.over)
"""


def main(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Measure the hook. Exit status 1 when it adds a second or more."""
    with tempfile.TemporaryDirectory() as folder:
        year = written(Path(folder) / "year.csv", HOURLY_YEAR, every=HOUR)
        (segments,) = ledger.read(year).segments.values()
        taken = [seconds(year, float(segments[-1].times[-1]) + HOUR) for _ in range(RUNS)]
    figure = Figure(
        name="the price of the pools in a preview, over a year of hourly rows",
        unit="s",
        value=statistics.median(taken),
        target=1,
    )
    show([figure], as_json=as_json)


def seconds(year: Path, now: float) -> float:
    """What one fresh interpreter measures of itself."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(year), str(now), str(MEANWHILE_S)],
        cwd=paths.PROGRAM,
        capture_output=True,
        text=True,
        check=True,
    )
    taken, over = ran.stdout.split()
    if over != "True":
        raise SystemExit("the change that is measured is not over the allocation: nothing was searched for")
    return float(taken)


if __name__ == "__main__":
    typer.run(main)
