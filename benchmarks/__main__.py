"""`make bench`: measures ZenWeb and bare Celery in the same run, prints a table and writes build/bench.json."""

import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks import celery_side, zenweb_side
from benchmarks.celery_side import BareCelery
from benchmarks.zenweb_side import ZenWeb
from zenweb.cli.display import show_table

SINGLES = 40  # requests whose first line is timed, per round
MANY = 200


@dataclass(frozen=True)
class Measure:
    """One row of the table: medians over the rounds."""

    name: str
    unit: str
    zenweb: float
    celery: float | None
    target: str

    @property
    def ratio(self) -> float | None:
        return self.zenweb / self.celery if self.celery else None


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Each figure is the median over so many.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True
)
def main(rounds: int, output: Path) -> None:
    """Measure ZenWeb beside bare Celery and Redis on this machine."""
    with tempfile.TemporaryDirectory(prefix="zenweb-bench-") as name:
        folder = Path(name)
        load = os.getloadavg()[0]
        with zenweb_side.running(folder) as zenweb, celery_side.running(folder) as celery:
            idle = zenweb.memory()
            zenweb.register("single")
            zenweb.first_line()
            warm = zenweb.memory()
            zenweb.register("chain", "fan_out")
            measures = [
                *_measure(zenweb, celery, rounds),
                Measure("idle memory, all processes (PSS)", "MiB", idle, None, "≤ 200"),
                Measure("the same after a first run, with a warm parent", "MiB", warm, None, "≤ 230"),
            ]
    about = {**_about(), "load_before": round(load, 2), "rounds": rounds}
    _show(measures, about)
    output.parent.mkdir(exist_ok=True)
    document = {**about, "measures": [{**asdict(row), "ratio": row.ratio} for row in measures]}
    output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _measure(zenweb: ZenWeb, celery: BareCelery, rounds: int) -> list[Measure]:
    found = [[_round(side) for side in (zenweb, celery)] for _ in range(rounds + 1)][
        1:
    ]  # the first one warms up
    rows = [
        ("request to first line, p50", "ms", "≤ 15"),
        ("request to first line, p95", "ms", "≤ 30"),
        ("chain of 40 steps", "s", "≤ 0.2, ≤ 1.5 ×"),
        ("40 steps side by side", "s", "≤ 0.3, ≤ 2.5 ×"),
        ("200 runs over 8 connections: accepted", "/s", "≥ 200"),
        ("200 runs over 8 connections: completed", "/s", "≥ 120"),
    ]
    return [
        Measure(
            name,
            unit,
            statistics.median(each[0][index] for each in found),
            statistics.median(each[1][index] for each in found),
            target,
        )
        for index, (name, unit, target) in enumerate(rows)
    ]


def _round(side: ZenWeb | BareCelery) -> list[float]:
    singles = [side.first_line() * 1000 for _ in range(SINGLES)]
    chain, fan_out = side.whole_run("chain"), side.whole_run("fan_out")
    return [statistics.median(singles), _percentile(singles, 95), chain, fan_out, *side.many(MANY)]


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _about() -> dict[str, Any]:
    described = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(described, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "database": "SQLite",
    }


def _show(measures: list[Measure], about: dict[str, Any]) -> None:
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    show_table(
        ("MEASURE", "ZENWEB", "BARE CELERY", "RATIO", "TARGET"),
        [
            (
                row.name,
                f"{row.zenweb:.3g} {row.unit}",
                f"{row.celery:.3g} {row.unit}" if row.celery else "",
                f"{row.ratio:.2f}" if row.ratio else "",
                row.target,
            )
            for row in measures
        ],
        empty="Nothing was measured.",
    )


if __name__ == "__main__":
    main()
