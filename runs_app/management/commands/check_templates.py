"""Says of every template whether this version of ZenWeb runs it: before an upgrade and after it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runs_app.checking import Verdict, check_template
from templates_app.models import RunTemplate


class Command(BaseCommand):
    help = (
        "Say of every template whether this version of ZenWeb, on this server, runs it. Nothing is changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = count = 0
        for template in RunTemplate.objects.with_relations().order_by("project__name", "name").iterator():
            report, count = check_template(template), count + 1
            failed += not report.runs
            self.stdout.write(
                f"{template.project.name}/{template.name}: {'runs' if report.runs else 'fails'}"
            )
            for finding in report.findings:
                if finding.verdict is not Verdict.OK:
                    self.stdout.write(f"    {finding.verdict}  {finding.part}: {finding.sentence}")
        if failed:
            raise CommandError(f"{failed} of {count} templates do not run here.")
        self.stdout.write(f"All {count} templates run here.")
