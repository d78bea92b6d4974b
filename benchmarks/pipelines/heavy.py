"""A step beside imports that take seconds: what most real pipelines look like."""

import time
from pathlib import Path

import pandas as pd
import sklearn.ensemble

from zenweb import pipeline, step

USED = (pd.DataFrame, sklearn.ensemble.RandomForestClassifier)


@step(enable_cache=False)
def tells(path: str = "") -> None:
    """Write when the first line of user code ran."""
    now = time.monotonic()
    if path:
        Path(path).write_text(str(now))


@pipeline
def heavy() -> None:
    tells(id="only")
