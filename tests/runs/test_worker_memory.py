"""A worker loads what it works with, and none of the pages."""

import subprocess
import sys

WORKER = """
import sys
import django
django.setup()
from runs_app.management.commands import celery_worker
celery_worker.app.Worker(pool_cls="threads", concurrency=1, queues="default")
print(*sys.modules)
"""


def test_a_worker_loads_no_pages():
    loaded = subprocess.run(
        [sys.executable, "-c", WORKER], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "runs_app.worker" in loaded
    assert not {"zenweb.urls", "runs_app.views", "rest_framework.views", "markdown_it"} & set(loaded)
