"""Configurations as rows keep them: with their secrets sealed."""

import uuid

from runs_app.plans import Plan
from templates_app.schema_places import replace_secrets, value_at
from zenweb.sealing import Json, seal


def sealed(plan: Plan, configuration: Json, of: uuid.UUID) -> Json:
    """A run configuration, or what it was resolved to, for the row with this id: `zenweb.sealing.opened` undoes it."""
    if not plan.holds_secrets or not isinstance(configuration, dict):
        return configuration
    return replace_secrets(
        plan.config_schema, configuration, lambda path: seal(value_at(configuration, path), of)
    )
