"""The only writer of what runs and steps are doing.

Every change is a conditional UPDATE, so two workers cannot both win.
"""

from runs_app.recording.burial import bury_worker, fail_abandoned_run, give_back, open_attempts
from runs_app.recording.claims import claim_ready_step, note_that_it_runs, start_local_attempt
from runs_app.recording.ending import record_end
from runs_app.recording.graph import (
    COMPILING,
    PREPARING,
    admit_forgotten,
    admit_waiting,
    end_empty_run,
    hold_back,
    let_go,
    make_room,
    note_unserved,
    offer,
    refuse,
    refuse_whole,
    request_stop,
    skip,
    stop_unwanted,
    time_out,
)
from runs_app.recording.live import (
    append_log,
    append_piece,
    attempts_to_stop,
    holds_its_step,
    note_once,
    note_time_spent,
    show_metadata,
)
from runs_app.recording.outcomes import LOG_TAIL, LogPiece, StepOutcome
from runs_app.recording.unrun import keep_elements, keep_from_original, ready_step

__all__ = [
    "COMPILING",
    "LOG_TAIL",
    "PREPARING",
    "LogPiece",
    "StepOutcome",
    "admit_forgotten",
    "admit_waiting",
    "append_log",
    "append_piece",
    "attempts_to_stop",
    "bury_worker",
    "claim_ready_step",
    "end_empty_run",
    "fail_abandoned_run",
    "give_back",
    "hold_back",
    "holds_its_step",
    "keep_elements",
    "keep_from_original",
    "let_go",
    "make_room",
    "note_once",
    "note_that_it_runs",
    "note_time_spent",
    "note_unserved",
    "offer",
    "open_attempts",
    "ready_step",
    "record_end",
    "refuse",
    "refuse_whole",
    "request_stop",
    "show_metadata",
    "skip",
    "start_local_attempt",
    "stop_unwanted",
    "time_out",
]
