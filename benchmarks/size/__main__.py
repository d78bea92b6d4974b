"""`python -m benchmarks.size`: how long lists take with a million runs. Prints a table and writes build/size.json."""

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks import postgresql
from benchmarks.about import about_this_machine
from zenweb.cli.display import show_table
from zenweb.cli.environment import own_environment

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@click.command()
@click.option(
    "--database", "databases", multiple=True, type=click.Choice([SQLITE, POSTGRESQL]), help="Only this one."
)
@click.option("--runs", default=1_000_000, show_default=True, help="How many there are.")
@click.option("--rounds", default=30, show_default=True, help="How often each request is made.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep the databases in this folder, and use those that are there.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/size.json"), show_default=True)
def main(databases: Sequence[str], runs: int, rounds: int, keep: Path | None, output: Path) -> None:
    """Seed a database with many runs, and measure what REST and the pages answer from it."""
    about = {**about_this_machine(), "runs": runs, "rounds": rounds}
    measures = [
        {"database": database, **measure}
        for database in databases or (SQLITE, POSTGRESQL)
        for measure in _measure_on(database, runs, rounds, keep)
    ]
    _show(measures, about)
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps({**about, "measures": measures}, indent=2, ensure_ascii=False) + "\n")


def _measure_on(database: str, runs: int, rounds: int, keep: Path | None) -> list[dict[str, Any]]:
    """In a process of its own, since one process of Django's knows one database."""
    with _folder(database, keep) as folder, _address_of(database, folder, is_kept=bool(keep)) as url:
        found = folder / "measures.json"
        command = [sys.executable, "-m", "benchmarks.size.inside", str(runs), str(rounds), str(found)]
        environment = {
            **own_environment(),
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "zenweb.settings",
            "ZENWEB_DATA_DIR": str(folder),
            "ZENWEB_LOG_LEVEL": "WARNING",
            "ZENWEB_SECRET_KEY": secrets.token_urlsafe(40),
        }
        subprocess.run(command, env=environment, check=True)
        measures: list[dict[str, Any]] = json.loads(found.read_text())
        return measures


@contextmanager
def _folder(database: str, keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="zenweb-size-") as name:
            yield Path(name)
    else:
        folder = keep.resolve() / database
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@contextmanager
def _address_of(database: str, folder: Path, is_kept: bool) -> Iterator[str]:
    if database == SQLITE:
        yield f"sqlite:///{folder / 'zenweb.sqlite3'}"
        return
    with postgresql.running(folder, is_kept=is_kept) as url:
        yield url


def _show(measures: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    show_table(
        ("DATABASE", "MEASURE", "P50", "P95", "WORK", "FIRST", "TARGET (P50)"),
        [
            (
                row["database"],
                row["name"],
                *(f"{row[figure]:.3g} {row['unit']}" for figure in ("p50", "p95", "work", "first")),
                row["target"],
            )
            for row in measures
        ],
        empty="Nothing was measured.",
    )


if __name__ == "__main__":
    main()
