"""Schedules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from zenweb.enums import ExecutionStatus
from zenweb.responses.entity import Entity
from zenweb.responses.run_templates import RunTemplateResponse
from zenweb.thing import moment, moment_or_none


class ScheduleResponse(Entity):
    """A template that is run by itself."""

    path = "/schedules"

    @property
    def cron(self) -> str:
        """When, in five fields: `0 2 * * *`."""
        return str(self.body["cron_expression"])

    @property
    def zone(self) -> str:
        """The time zone that `cron` is read in: `Europe/Zurich`."""
        return str(self.body["zone"])

    @property
    def is_paused(self) -> bool:
        """It makes no runs until it is set going again."""
        return not self.body["active"]

    @property
    def next_times(self) -> list[datetime]:
        """The next five; none while it is paused."""
        return [moment(text) for text in self.body["next_times"]]

    @property
    def last_fired(self) -> datetime | None:
        """The newest of its times that came, whether or not a run was made."""
        return moment_or_none(self.body["last_fired"])

    @property
    def last_run_id(self) -> UUID | None:
        """The newest of its runs; None: it has made none."""
        found = self.body["last_run_id"]
        return UUID(found) if found else None

    @property
    def last_run_status(self) -> ExecutionStatus | None:
        """How far the newest run is, or how it ended."""
        found = self.body.get("last_run_status")
        return ExecutionStatus(found) if found else None

    @property
    def last_refusal(self) -> str:
        """Why no run was made when that happened last, at `last_refused`."""
        return str(self.body["last_refusal"] or "")

    @property
    def last_refused(self) -> datetime | None:
        """The newest of its times at which no run was made; None: there is none."""
        return moment_or_none(self.body["last_refused"])

    @property
    def is_refused(self) -> bool:
        """No run was made the last time."""
        return self.last_refused is not None and self.last_refused == self.last_fired

    @property
    def config(self) -> dict[str, Any]:
        """What its runs are started with."""
        found: dict[str, Any] = self.metadata["configuration"]
        return found

    @property
    def template(self) -> RunTemplateResponse | None:
        """None when it was deleted."""
        found = self.resources["template"]
        return RunTemplateResponse(self._transport, found) if found else None
