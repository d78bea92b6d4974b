"""The product's own settings, with a key and a data folder that belong to the tests.

`ZENWEB_TEST_DATABASE=postgresql` runs them on PostgreSQL.
"""

import os
from pathlib import Path

os.environ.setdefault("ZENWEB_SECRET_KEY", "only for the tests, as long as a real one should be")
os.environ.setdefault("ZENWEB_DATA_DIR", str(Path(__file__).parent.parent / "build" / "test-data"))
os.environ.setdefault("ZENWEB_SQLITE_SYNCHRONOUS", "OFF")  # a power loss is no concern of a test
ON_POSTGRESQL = os.environ.get("ZENWEB_TEST_DATABASE") == "postgresql"
IS_TOLD = "DATABASE_URL" in os.environ  # as a server is that a test has started
if ON_POSTGRESQL and not IS_TOLD:
    from tests.postgresql import new_database

    os.environ["DATABASE_URL"] = new_database()

from tests.sqlite import new_database_file  # noqa: E402
from zenweb.settings import *  # noqa: E402, F403

if ON_POSTGRESQL and not IS_TOLD:
    del os.environ["DATABASE_URL"]

if not ON_POSTGRESQL and not IS_TOLD:
    # A file, as in the product: an in-memory database that threads share waits for nobody and answers "locked".
    DATABASES["default"]["TEST"] = {"NAME": str(new_database_file())}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # hashing slowly is not what is tested
MIDDLEWARE.insert(0, "tests.described.hold_against_description")  # noqa: F405
