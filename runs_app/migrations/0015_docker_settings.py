"""Docker's settings had no effect on runs, and are refused now: what is stored with some goes on working without."""

from django.db import migrations


def forget_docker(apps, schema_editor):
    for app, model in (("runs_app", "Schedule"), ("templates_app", "Preset")):
        rows = apps.get_model(app, model).objects
        for row in rows.filter(configuration__icontains='"docker"').only("configuration").iterator():
            if without_docker(row.configuration):
                rows.filter(pk=row.pk).update(configuration=row.configuration)


def without_docker(configuration):
    """Whether there were some."""
    steps = configuration.get("steps")
    places = [configuration, *(steps.values() if isinstance(steps, dict) else ())]
    told = [place["settings"] for place in places if isinstance(place, dict) and "settings" in place]
    found = [settings.pop("docker", None) for settings in told if isinstance(settings, dict)]
    return any(found)


class Migration(migrations.Migration):
    dependencies = [("runs_app", "0014_log_pieces"), ("templates_app", "0002_presets")]

    operations = [migrations.RunPython(forget_docker, migrations.RunPython.noop)]
