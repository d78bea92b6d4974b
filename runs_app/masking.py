"""The secrets that a row holds, so that nothing a step prints or tells of them is kept."""

import uuid
from itertools import chain
from typing import Any

from zenweb.execution.masking import Mask, texts_in
from zenweb.sealing import opened, sealed_in


def mask_of(parameters: Any, of: uuid.UUID, *others: str) -> Mask:
    """For what is printed by who is given these parameters of a row, and these other secrets."""
    given = (text for sealed in sealed_in(parameters) for text in texts_in(opened(sealed, of)))
    return Mask(chain(others, given))
