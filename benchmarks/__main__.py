"""`make bench`: measures ZenWeb and bare Celery in the same run, prints a table and writes build/bench.json."""

import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import celery_side, postgresql, zenweb_side
from benchmarks.about import about_this_machine
from benchmarks.celery_side import BareCelery
from benchmarks.zenweb_side import ZenWeb
from zenweb.cli.display import show_table

SINGLES = 40  # requests whose first line is timed, per round
MANY = 200
LARGE_LIMIT = 900.0  # seconds
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@dataclass(frozen=True)
class Measure:
    """One row of the table: medians over the rounds."""

    database: str
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
    "--database", "databases", multiple=True, type=click.Choice([SQLITE, POSTGRESQL]), help="Only this one."
)
@click.option("--large/--no-large", default=True, show_default=True, help="The run of 10,000 steps as well.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True
)
def main(rounds: int, databases: Sequence[str], large: bool, output: Path) -> None:
    """Measure ZenWeb beside bare Celery and Redis on this machine."""
    about = {**about_this_machine(), "rounds": rounds}
    with (
        tempfile.TemporaryDirectory(prefix="celery-bench-") as name,
        celery_side.running(Path(name)) as celery,
    ):
        measures = [
            measure
            for database in databases or (SQLITE, POSTGRESQL)
            for measure in _measure_on(database, celery, rounds, large)
        ]
    _show(measures, about)
    output.parent.mkdir(exist_ok=True)
    document = {**about, "measures": [{**asdict(row), "ratio": row.ratio} for row in measures]}
    output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _measure_on(database: str, celery: BareCelery, rounds: int, large: bool) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="zenweb-bench-") as name:
        folder = Path(name)
        with (
            _address_of(database, folder) as url,
            zenweb_side.running(folder, url) as zenweb,
        ):
            yield from _measure_memory(database, zenweb)
            yield from _measure_speed(database, zenweb, celery, rounds)
            yield from _measure_heavy(database, zenweb, rounds)
            if large:
                yield from _measure_growth(database, zenweb, rounds)


@contextmanager
def _address_of(database: str, folder: Path) -> Iterator[str]:
    if database == SQLITE:
        yield ""
        return
    with postgresql.running(folder) as url:
        yield url


def _measure_memory(database: str, zenweb: ZenWeb) -> Iterator[Measure]:
    """What everything holds (the database's own processes aside), before and after it got warm parents."""
    idle = zenweb.memory()
    zenweb.register("workloads.single")
    zenweb.first_line()
    warm = zenweb.memory()
    zenweb.register("first.first", "second.second")
    zenweb.whole_run("first")
    zenweb.whole_run("second")
    yield Measure(database, "idle memory, all processes (PSS)", "MiB", idle, None, "≤ 200")
    yield Measure(database, "the same after a first run, with its warm parent", "MiB", warm, None, "≤ 230")
    each = (zenweb.memory() - warm) / 2
    yield Measure(database, "each further warm parent", "MiB", each, None, "≤ 30")


def _measure_speed(database: str, zenweb: ZenWeb, celery: BareCelery, rounds: int) -> Iterator[Measure]:
    zenweb.register("workloads.chain", "workloads.fan_out")
    rounds_with_warm_up = [[_round(side) for side in (zenweb, celery)] for _ in range(rounds + 1)]
    found = rounds_with_warm_up[1:]
    slower = database == POSTGRESQL
    rows = [
        ("request to first line, p50", "ms", "≤ 15"),
        ("request to first line, p95", "ms", "≤ 30"),
        ("chain of 40 steps", "s", "≤ 0.4" if slower else "≤ 0.2, ≤ 1.5 ×"),
        ("40 steps side by side", "s", "≤ 0.3, ≤ 2.5 ×"),
        ("200 runs over 8 connections: accepted", "/s", "≥ 200"),
        ("200 runs over 8 connections: completed", "/s", "≥ 120"),
    ]
    for index, (name, unit, target) in enumerate(rows):
        ours = statistics.median(each[0][index] for each in found)
        theirs = statistics.median(each[1][index] for each in found)
        yield Measure(database, name, unit, ours, theirs, target)


def _round(side: ZenWeb | BareCelery) -> list[float]:
    singles = [side.first_line() * 1000 for _ in range(SINGLES)]
    chain, fan_out = side.whole_run("chain"), side.whole_run("fan_out")
    return [statistics.median(singles), _percentile(singles, 95), chain, fan_out, *side.many(MANY)]


def _measure_heavy(database: str, zenweb: ZenWeb, rounds: int) -> Iterator[Measure]:
    zenweb.register("heavy.heavy")
    zenweb.first_line("heavy")
    firsts = [zenweb.first_line("heavy") * 1000 for _ in range(rounds * SINGLES // 2)]
    name = "request to first line with pandas and scikit-learn, p50"
    yield Measure(database, name, "ms", statistics.median(firsts), None, "≤ 45")


def _measure_growth(database: str, zenweb: ZenWeb, rounds: int) -> Iterator[Measure]:
    """Does a step of a large run cost more than one of a small run?"""
    zenweb.register("workloads.layers_100", "workloads.layers_10000")
    zenweb.whole_run("layers_100")
    small = statistics.median(zenweb.whole_run("layers_100") for _ in range(rounds)) / 100
    large = zenweb.whole_run("layers_10000", LARGE_LIMIT) / 10_000
    yield Measure(database, "a step of a run of 100", "ms", small * 1000, None, "")
    yield Measure(database, "a step of a run of 10,000", "ms", large * 1000, None, "< 1.5 × of 100")


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _show(measures: list[Measure], about: dict[str, Any]) -> None:
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    show_table(
        ("DATABASE", "MEASURE", "ZENWEB", "BARE CELERY", "RATIO", "TARGET"),
        [
            (
                row.database,
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
