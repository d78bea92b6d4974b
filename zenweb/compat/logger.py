"""Python's own logging, where ZenML's users look for it."""

import logging
from logging import Logger


def get_logger(name: str) -> Logger:
    """The logger of that name. What it says from INFO on is shown, as with ZenML, and stands in a step's log."""
    logging.basicConfig(format="%(message)s")  # does nothing where logging was set up before
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    return logger
