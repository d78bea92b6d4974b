"""Seal the secrets that runs and schedules have kept in clear until now."""

from django.db import migrations

from runs_app.resealing import key_hashes, reseal


def seal(apps, schema_editor):
    reseal(apps.get_model)
    key_hashes(apps.get_model)


class Migration(migrations.Migration):
    dependencies = [
        ("runs_app", "0005_roles"),
        ("templates_app", "0004_roles"),
    ]

    operations = [
        # Back to where they were in clear they are not brought: versions of that time cannot run with them.
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
