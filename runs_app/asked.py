"""Questions that workers were asked: whether somebody is there to be asked, and looking on until one is answered."""

import time

from runs_app import waiting
from runs_app.models import Preparation
from zenweb.enums import PreparationStatus

FIRST_LOOK, LONGEST_LOOK = 0.03, 0.25  # seconds between two looks for an answer
OPEN = {PreparationStatus.WAITING, PreparationStatus.RUNNING}


def look_on(asked: Preparation, seconds: float) -> None:
    """Return when it is answered or failed, when nobody is there to be asked, or after so many seconds.

    Not inside of a transaction.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_LOOK
    while asked.status in OPEN and time.monotonic() < deadline and not unserved(asked):
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(LONGEST_LOOK, pause * 1.5)
        asked.refresh_from_db()


def unserved(asked: Preparation) -> str:
    """Why nobody is there to be asked, as a sentence."""
    return waiting.unserved_sentence(asked.queue) if asked.status == PreparationStatus.WAITING else ""
