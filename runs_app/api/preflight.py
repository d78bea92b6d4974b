"""How a look ahead is told over REST."""

from runs_app.differences import ABSENT, Difference
from runs_app.drafts import resolved_for_reading
from runs_app.preflight import Expected, Preflight
from zenweb.api.envelope import Json


def describe_preflight(ahead: Preflight) -> Json:
    return {
        "warnings": ahead.warnings,
        "configuration": resolved_for_reading(ahead.version.config_schema, ahead.resolved),
        "steps": [
            {
                "name": step.name,
                "from_cache": step.name in ahead.cached,
                "elements": step.elements,
                "note": step.sentence,
            }
            for step in ahead.foretold
        ],
        "expected_seconds": _describe_expected(ahead.expected),
        "obstacles": [sentence for sentence in [ahead.turn, *ahead.obstacles] if sentence],
        "queues": [{"name": queue.name, "free_slots": queue.free} for queue in ahead.queues],
        "runs_ahead": ahead.runs_ahead,
        "makes_environment": ahead.makes_environment,
        "last_good_run": str(ahead.good_run.pk) if ahead.good_run else None,
        "differences": [_describe_difference(difference) for difference in ahead.differences],
    }


def _describe_expected(expected: Expected | None) -> Json | None:
    if expected is None:
        return None
    return {
        "typical": expected.seconds,
        "low": expected.low,
        "high": expected.high,
        "runs": expected.runs,
        "unknown_steps": list(expected.unknown),
    }


def _describe_difference(difference: Difference) -> Json:
    """What was or is not there is null."""
    before, now = (None if value == ABSENT else value for value in (difference.before, difference.now))
    return {"parameter": difference.field_name, "before": before, "now": now}
