"""What every row that has an address shares, and how rows keep JSON."""

import json
import uuid
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class JSONField(models.JSONField):
    """JSON as the text it came as, so that every database gives back what it was given.

    PostgreSQL's `jsonb` would sort the keys, turn 1e30 into an integer and refuse NUL; its `json` does not. What one
    can look for inside it is none of our concern.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> str | None:
        return None if value is None else json.dumps(value, cls=self.encoder)

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        return (f"{sql}::text" if compiler.connection.vendor == "postgresql" else sql), params


class Entity(models.Model):
    """A row known to the outside by a UUID, with the times of its making and last change."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


def is_id(text: str) -> bool:
    """Whether a text is an id, in any of a UUID's spellings."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
