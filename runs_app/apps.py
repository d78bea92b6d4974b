"""What was run."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class RunsAppConfig(AppConfig):
    name = "runs_app"
    verbose_name = "What was run"

    def ready(self) -> None:
        post_migrate.connect(_keep_counting, sender=self)


def _keep_counting(**_: Any) -> None:
    """When all tables are as they shall be: what counts runs belongs to one of them."""
    import_string("runs_app.run_counts.keep_counting")()
