"""What a step of the local stack prints, as it is told to the server."""

import pytest

from zenweb.execution.attempt_log import LONGEST_HEAD, LONGEST_PIECE, LONGEST_TAIL, AttemptLog, Piece


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("one\ntwo", "one\n"),
        ("10 %\r20 %\r30", "10 %\r20 %\r"),
        ("no end", ""),
        ("", ""),
        ("x" * (LONGEST_PIECE + 1), "x" * LONGEST_PIECE),
        ("a\n" + "x" * LONGEST_PIECE, "a\n"),
    ],
)
def test_a_piece_ends_with_a_line_unless_the_line_is_longer_than_it(printed: str, told: str) -> None:
    log = AttemptLog()
    log.write(printed)
    assert log.piece() == Piece(0, told)


def test_a_piece_that_may_have_been_told_is_told_again_as_it_was_and_the_rest_comes_after_it() -> None:
    log = AttemptLog()
    log.write("one\n")
    first = log.piece()
    log.write("two\nth")
    assert (log.piece(), log.handed_out, log.rest()) == (first, Piece(0, "one\n"), Piece(1, "two\nth"))
    log.told(first)
    log.write("ree\n")
    assert (log.handed_out, log.rest()) == (None, Piece(1, "two\nthree\n"))
    assert log.piece() == Piece(1, "two\nthree\n")


def test_what_no_file_and_no_database_takes_is_replaced() -> None:
    log = AttemptLog()
    log.write("caf\udce9 \x00\n")
    assert log.piece() == Piece(0, "caf? \ufffd\n")


def test_of_a_log_that_is_too_long_beginning_and_end_are_kept() -> None:
    log, line = AttemptLog(), "x" * 99 + "\n"
    for _ in range(20_000):
        log.write(line)
    log.write("the end\n")
    text = log.rest().text
    assert text.startswith(line * (LONGEST_HEAD // 100) + "\n[cut here: a step's log holds at most 1000000 ")
    assert text.endswith("x\nthe end\n")
    assert len(text) - LONGEST_HEAD - LONGEST_TAIL < 200
