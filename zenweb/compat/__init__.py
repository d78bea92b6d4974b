"""`import zenweb.compat`: from here on, `from zenml import pipeline, step` gets ZenWeb's.

`python -m zenweb.compat run.py` does the same for a script that is not to be changed. Where the real ZenML is installed
nothing happens but a warning.
"""

import warnings

from zenweb.config import zenml_alias
from zenweb.exceptions import RealZenMLInstalled

try:
    zenml_alias.activate()
except RealZenMLInstalled as error:
    warnings.warn(str(error), stacklevel=2)
