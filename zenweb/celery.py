"""The Celery application: a doorbell for workers, nothing more (the database holds the truth)."""

from celery import Celery

app = Celery("zenweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
