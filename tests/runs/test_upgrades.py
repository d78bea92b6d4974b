"""What was stored by former versions goes on working."""

from importlib import import_module

import pytest
from django.apps import apps

from runs_app.models import Schedule
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import Preset, RunTemplate
from zenweb.accounts.models import User

DOCKER = {"docker": {"requirements": ["polars"]}, "other": 1}
KEPT = {"settings": {"other": 1}, "steps": {"trainer": {"settings": {"other": 1}}}}


@pytest.mark.django_db
def test_schedules_and_presets_lose_the_docker_settings_that_had_no_effect(
    template: RunTemplate, alice: User
) -> None:
    stored = {"settings": DOCKER, "steps": {"trainer": {"settings": DOCKER}}}
    create_schedule(actor=alice, template=template, name="nightly", cron="0 3 * * *")
    create_preset(actor=alice, template=template, name="mine")
    for model in (Schedule, Preset):
        model.objects.update(configuration=stored)
    import_module("runs_app.migrations.0015_docker_settings").forget_docker(apps, None)
    assert Schedule.objects.get().configuration == KEPT
    assert Preset.objects.get().configuration == KEPT
