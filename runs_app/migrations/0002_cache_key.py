from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs_app", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="steprun",
            name="cache_key",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddIndex(
            model_name="steprun",
            index=models.Index(
                condition=models.Q(("cache_key__gt", ""), ("status", "completed")),
                fields=["cache_key", "-end_time"],
                name="step_cache",
            ),
        ),
    ]
