import django.core.validators
from django.conf import settings
from django.db import migrations, models

import zenweb.enums


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("templates_app", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="runtemplate",
            name="concurrency_policy",
            field=models.CharField(
                choices=[
                    ("queue", "Further runs wait for their turn"),
                    ("skip", "Further runs are not run"),
                    ("cancel", "Further runs take the place of the oldest"),
                ],
                default=zenweb.enums.ConcurrencyPolicy["QUEUE"],
                help_text="What becomes of one more run than that.",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="runtemplate",
            name="max_concurrent_runs",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="How many of its runs may go on at once. Empty: as many as are started.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(10000),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="runtemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_concurrent_runs__gte", 1)), name="template_limit_is_positive"
            ),
        ),
    ]
