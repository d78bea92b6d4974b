"""WSGI entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application

from zenweb.request_bodies import bounding_readers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenweb.settings")
application = bounding_readers(get_wsgi_application())

# What is loaded by now stays. A list makes thousands of objects that go with its answer: to look at them all every 700
# takes a tenth of the answer's time.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
