"""Know how much of a log a caller has told without counting its pieces. What has ended is told no more of."""

from django.db import migrations, models
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce, Length


def count_pieces(apps, schema_editor):
    attempts = apps.get_model("runs_app", "StepAttempt").objects
    told = attempts.filter(end_time=None, step__run__caller_beat__isnull=False)
    length = Coalesce(Sum(Length("log_chunks__text")), 0)
    counted = told.order_by().values_list("pk").annotate(Count("log_chunks"), length=length)
    for pk, number, characters in counted:
        attempts.filter(pk=pk).update(log_pieces=number, log_length=characters)


class Migration(migrations.Migration):
    dependencies = [
        ("runs_app", "0013_bound_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="stepattempt",
            name="log_length",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stepattempt",
            name="log_pieces",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.RunPython(count_pieces, migrations.RunPython.noop),
    ]
