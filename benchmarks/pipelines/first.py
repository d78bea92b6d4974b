"""A pipeline in a file of its own, and so with a warm parent of its own."""

from workloads import nothing

from zenweb import pipeline


@pipeline
def first() -> None:
    nothing()
