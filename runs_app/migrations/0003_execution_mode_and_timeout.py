from django.conf import settings
from django.db import migrations, models

import zenweb.enums


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("runs_app", "0002_cache_key"),
        ("templates_app", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="pipelinerun",
            name="execution_mode",
            field=models.CharField(
                choices=[
                    ("continue_on_failure", "continue_on_failure"),
                    ("stop_on_failure", "stop_on_failure"),
                    ("fail_fast", "fail_fast"),
                ],
                default=zenweb.enums.ExecutionMode.CONTINUE_ON_FAILURE,
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="pipelinerun",
            name="has_timed_out",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="pipelinerun",
            name="timeout",
            field=models.FloatField(
                blank=True, help_text="Seconds from the start of its first step.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="pipelinerun",
            index=models.Index(
                condition=models.Q(("end_time__isnull", True), ("timeout__isnull", False)),
                fields=["start_time"],
                name="run_timeout",
            ),
        ),
    ]
