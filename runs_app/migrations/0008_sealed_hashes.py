"""Seal the hashes of requests with secrets: those with a key could never be brought to another key."""

from django.db import migrations, models

from runs_app.resealing import seal_hashes


def seal(apps, schema_editor):
    seal_hashes(apps.get_model)


class Migration(migrations.Migration):
    dependencies = [("runs_app", "0007_run_counts")]

    operations = [
        migrations.AlterField(
            model_name="idempotencyrecord",
            name="body_hash",
            field=models.CharField(
                help_text="Sealed with the run's id where a secret was hashed.", max_length=255
            ),
        ),
        # Back they are not brought: versions of before make another run, or say that the body is another.
        migrations.RunPython(seal, migrations.RunPython.noop),
    ]
