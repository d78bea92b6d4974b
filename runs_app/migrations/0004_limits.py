from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("runs_app", "0003_execution_mode_and_timeout"),
        ("templates_app", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="pipelinerun",
            name="priority",
            field=models.IntegerField(default=0, help_text="The highest of its steps': who waits less."),
        ),
        migrations.AddField(
            model_name="pipelinerun",
            name="queued_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="pipelinerun",
            index=models.Index(
                condition=models.Q(("queued_at__isnull", False)),
                fields=["template", "-priority", "index"],
                name="run_queued",
            ),
        ),
    ]
