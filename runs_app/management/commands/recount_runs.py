"""Checks the counts of runs that the database keeps, and counts anew."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from runs_app.run_counts import KIND, recount, wrong_counts


class Command(BaseCommand):
    help = "Compare the counts of runs with the runs that there are, and correct them. Nothing is started meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Correct nothing; fail if a count is wrong.")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = wrong_counts()
        for kind, counted, there in wrong:
            words = ", ".join(f"{name} {value}" for name, value in zip(KIND, kind, strict=True) if value)
            self.stdout.write(f"{words}: {there} runs, counted as {counted}")
        if not wrong:
            self.stdout.write("All counts are right.")
        elif options["check"]:
            raise CommandError("Counts are wrong: `recount_runs` without --check corrects them.")
        else:
            recount()
            self.stdout.write("Counted anew.")
