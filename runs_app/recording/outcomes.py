"""What those who run steps hand to the recording: how an attempt ended, and what it printed."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.utils import timezone

from zenweb.enums import ExecutionStatus
from zenweb.execution.masking import Mask
from zenweb.execution.metadata import Noted
from zenweb.execution.protocol import StepException, StoredArtifact

LOG_TAIL = 8_000  # characters


@dataclass(frozen=True)
class StepOutcome:
    """How one attempt ended: with outputs, or with what went wrong."""

    outputs: dict[str, StoredArtifact] = field(default_factory=dict)
    exception: StepException | None = None
    metadata: Noted = field(default_factory=dict)
    """What it noted about the step; about the run:"""
    run_metadata: Noted = field(default_factory=dict)
    was_stopped: bool = False
    log_uri: str = ""
    log_tail: str = ""
    was_shown_live: bool = False
    started_at: datetime | None = None
    """When the user's first line ran; until then the attempt only waited for its code to be imported."""
    ended: float | None = None
    """By this machine's monotonic clock; the database may have been away since then."""
    is_unprepared: bool = False
    """What the whole run needs could not be made: it is not tried again, and no other step of the run is started."""

    def ended_at(self, now: datetime) -> datetime:
        """Not before it began. Both clocks are read here: since `now` its transaction may have waited for others."""
        if self.ended is None:
            return now
        ended = timezone.now() - timedelta(seconds=time.monotonic() - self.ended)
        return max(ended, self.started_at) if self.started_at else ended

    def masked(self, mask: Mask) -> "StepOutcome":
        """Without the secrets that the step was given, wherever it told them."""
        return replace(
            self,
            outputs=mask.outputs(self.outputs),
            exception=mask.exception(self.exception),
            metadata=mask.value(self.metadata),
            run_metadata=mask.value(self.run_metadata),
            log_tail=mask.text(self.log_tail),
        )

    @property
    def status(self) -> ExecutionStatus:
        if self.was_stopped:
            return ExecutionStatus.STOPPED
        return ExecutionStatus.FAILED if self.exception else ExecutionStatus.COMPLETED


@dataclass(frozen=True)
class LogPiece:
    """Some of what an attempt of the local stack printed: the `number`-th piece of it, from 0."""

    number: int
    text: str

    def masked(self, mask: Mask) -> "LogPiece":
        return replace(self, text=mask.text(self.text))
