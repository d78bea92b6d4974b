"""Says what isolates steps here, and what does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runs_app.step_users import find_isolation
from zenweb.exceptions import ZenWebError


class Command(BaseCommand):
    help = "Say whom a worker that is started here, by you, would run steps as, and why. Nothing is changed."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(find_isolation().sentence)
        except ZenWebError as error:
            raise CommandError(str(error)) from error
