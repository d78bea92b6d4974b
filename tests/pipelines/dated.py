"""A pipeline whose values are found when it is run."""

from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from zenweb import Default, last_successful, now, pipeline, step, today, yesterday


@step
def report(
    until: Annotated[date, Default(yesterday)],
    since: Annotated[date | None, Default(today - timedelta(days=7))],
    at: Annotated[datetime, Default(now)],
    threshold: Annotated[float, Field(ge=0), Default(last_successful)],
    rate: Annotated[float, Default(last_successful)] = 0.1,
    title: str = "Report",
) -> str:
    return f"{title}: {since} to {until}, at {at}, {threshold}, {rate}"


@pipeline
def dated() -> None:
    report()


@step
def told(an_hour_ago: Annotated[datetime, Default(now - timedelta(hours=1))]) -> None: ...


@pipeline
def hourly() -> None:
    told()
