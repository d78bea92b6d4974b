"""What the runner of a step makes of what its code raises."""

from zenweb.execution.runner import describe


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_say_itself_is_told_by_type_and_traceback():
    try:
        raise Speechless
    except Speechless as error:
        told = describe(error)
    assert (told.type, told.message) == ("Speechless", "<exception str() failed>")
    assert "raise Speechless" in told.traceback
