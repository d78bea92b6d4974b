"""`--since`: how long ago, or a moment."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

AGO = re.compile(r"([0-9]{1,6})\s*([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Since(click.ParamType):  # type: ignore[type-arg]  # older clicks cannot have it subscripted
    """`30m`, `12h`, `7d`, or a moment in ISO 8601, in the time zone of this machine where it says none."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if found := AGO.fullmatch(value.strip()):
                return datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write how long ago, such as 30m, 12h, 7d, or a moment, such as 2026-05-31.",
                param,
                ctx,
            )


def asked_since(moment: datetime | None) -> str | None:
    """The filter of a list."""
    if moment is None:
        return None
    return f"gte:{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}"
