"""Seals stored secrets with the newest key."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from runs_app.resealing import reseal


class Command(BaseCommand):
    help = (
        "Seal every stored secret with the first of the encryption keys, so that the others can be given up. On SQLite "
        "the file is written anew as well: what was deleted or changed is gone from it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = reseal(apps.get_model)
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.stdout.write(f"{done.changed} runs and schedules were sealed with the newest key.")
        if done.emptied:
            self.stdout.write(
                f"{done.emptied} schedules whose template was deleted have no values any more: what was a secret among "
                "them could not be told, and they will never run."
            )
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable} runs and schedules have secrets whose key is not here: they stay as they are. Name "
                "that key too, after the first one, and do this again."
            )
