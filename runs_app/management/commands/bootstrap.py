"""Prepares an empty database: the default project, the two stacks, an administrator and an API key."""

import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from templates_app.models import Stack
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key, default_project
from zenweb.cli.data_folder import Credentials, DataFolder
from zenweb.enums import AuditVerb, Orchestrator

ADMIN = "admin"


class Command(BaseCommand):
    help = (
        "Make the default project, the stacks `default` (local) and `celery` (remote), and the user `admin` "
        "with a random password and an API key. What exists already stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print what was made as one JSON object.")
        parser.add_argument("--keep", action="store_true", help="Keep the secrets in the data folder too.")

    def handle(self, *args: Any, **options: Any) -> None:
        made = bootstrap(keep_in=DataFolder(settings.DATA_DIR) if options["keep"] else None)
        if options["json"]:
            self.stdout.write(json.dumps(made))
        elif made["created"]:
            self.stdout.write(
                f"User {made['username']}, password {made['password']}, API key {made['api_key']}"
            )
        else:
            self.stdout.write("Everything was there already.")


@transaction.atomic
def bootstrap(*, keep_in: DataFolder | None = None) -> dict[str, Any]:
    """`{"created": bool, "username", "password", "api_key"}`; the secrets only when they were made just now."""
    default_project()
    Stack.objects.get_or_create(name="default", defaults={"orchestrator": Orchestrator.LOCAL, "queue": ""})
    Stack.objects.get_or_create(
        name="celery",
        defaults={
            "orchestrator": Orchestrator.CELERY,
            "queue": "default",
            "artifact_store_uri": settings.ARTIFACT_STORE_URI,
        },
    )
    if User.objects.filter(username=ADMIN).exists():
        return {"created": False, "username": ADMIN, "password": None, "api_key": None}
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(username=ADMIN, password=password)
    record_audit(actor=None, verb=AuditVerb.CREATE, thing=user, after=facts_of(user))
    _, key_text = create_api_key(
        user=user, name="demo", description="Made when this server was first started."
    )
    if keep_in is not None:
        # Before the commit: whoever is killed in between makes both anew at the next start. After it, nobody could.
        keep_in.write_credentials(Credentials(ADMIN, password, key_text))
    return {"created": True, "username": ADMIN, "password": password, "api_key": key_text}
