"""The only writer of what runs and steps are doing: whatever changes that is a function here.

Every change is a conditional UPDATE, so two workers cannot both win. A step goes through these modules:

- `beginning`: its run is held back until all is known that has to be found out first.
- `claims`: a worker takes it; `live`: what is written down while it runs; `waits`: it waits for another run.
- `ending`: its attempt ends, and what it gave out (`outputs`) is kept, or it is tried again.
- `graph`: what waited for it goes on, the run ends, and one that waited for its place begins. On the way steps are
  laid out or skipped (`mapping`), taken from before (`unrun`), or closed (`closing`), and workers are told (`waking`).
- `stopping`, `places`, `burial`: what ends it from outside: people, newer runs, the death of its worker.
"""

from runs_app.recording.beginning import hold_back, let_go, refuse, refuse_whole
from runs_app.recording.burial import bury_worker, fail_abandoned_run, give_back, open_attempts
from runs_app.recording.claims import claim_ready_step, note_that_it_runs, start_local_attempt
from runs_app.recording.ending import record_end
from runs_app.recording.graph import COMPILING, PREPARING, admit_waiting, end_empty_run, offer
from runs_app.recording.live import (
    append_log,
    append_piece,
    attempts_to_stop,
    holds_its_step,
    note_once,
    note_time_spent,
    note_unserved,
    renew_lease,
    show_metadata,
)
from runs_app.recording.outcomes import LOG_TAIL, LogPiece, StepOutcome
from runs_app.recording.places import admit_forgotten, make_room, skip
from runs_app.recording.stopping import request_stop, stop_unwanted, time_out
from runs_app.recording.unrun import keep_elements, keep_from_original, ready_step
from runs_app.recording.waits import begin_to_wait, end_to_wait

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
    "begin_to_wait",
    "bury_worker",
    "claim_ready_step",
    "end_empty_run",
    "end_to_wait",
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
    "renew_lease",
    "request_stop",
    "show_metadata",
    "skip",
    "start_local_attempt",
    "stop_unwanted",
    "time_out",
]
