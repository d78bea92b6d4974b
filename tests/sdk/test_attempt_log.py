"""What a step of the local stack prints, as it is told to the server."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from zenweb.execution.attempt_log import (
    LONGEST_HEAD,
    LONGEST_PIECE,
    LONGEST_TAIL,
    AttemptLog,
    Piece,
    printing_also_into,
)


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


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """One that prints nowhere yet."""
    logger = logging.getLogger(__name__)
    logger.propagate = False
    yield logger
    logger.handlers.clear()


def test_what_a_logger_prints_that_was_set_up_before_is_kept(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AttemptLog()
    logger.addHandler(handler := logging.StreamHandler())
    with printing_also_into(log):
        logger.error("in the step")
    logger.error("after it")
    assert handler.stream is sys.stderr
    assert log.rest().text == "in the step\n"
    assert capsys.readouterr().err == "in the step\nafter it\n"


def test_a_logger_that_a_step_sets_up_prints_into_the_next_steps_log(logger: logging.Logger) -> None:
    first, second = AttemptLog(), AttemptLog()
    with printing_also_into(first):
        logger.addHandler(logging.StreamHandler())
    with printing_also_into(second):
        logger.error("in the second")
    assert (first.rest().text, second.rest().text) == ("", "in the second\n")


def test_what_the_thread_says_that_tells_the_log_is_not_told(logger: logging.Logger) -> None:
    log, teller = AttemptLog(), threading.Thread(target=logger.error, args=["told a line"])
    logger.addHandler(logging.StreamHandler())
    with printing_also_into(log, but_not_of=teller):
        teller.start()
        teller.join()
        logger.error("in the step")
    assert log.rest().text == "in the step\n"


def test_bytes_are_kept_and_the_stream_is_what_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    log, stream = AttemptLog(), sys.stdout
    with printing_also_into(log):
        for byte in "caf\u00e9 ".encode() + b"\xff\n":
            sys.stdout.buffer.write(bytes([byte]))
        sys.stdout.flush()
        subprocess.run([sys.executable, "-c", "print('another process')"], stdout=sys.stdout, check=True)
        assert (sys.stdout.encoding, sys.stdout.fileno()) == (stream.encoding, stream.fileno())
    assert log.rest().text == "caf\u00e9 \ufffd\n"
    assert capfd.readouterr().out.endswith("\nanother process\n")


def test_runs_in_threads_of_one_process_keep_what_each_prints(capfd: pytest.CaptureFixture[str]) -> None:
    logs, stream, both = [AttemptLog(), AttemptLog()], sys.stdout, threading.Barrier(2)

    def run(number: int) -> None:
        with printing_also_into(logs[number]):
            both.wait(60)
            sys.stdout.write(f"of {number}\n")
            sys.stdout.buffer.write(f"bytes of {number}\n".encode())
            both.wait(60)
            stray = threading.Thread(target=print, args=["of a thread"])
            copied = threading.Thread(target=copy_context().run, args=(print, f"of a thread of {number}"))
            for thread in (stray, copied):
                thread.start()
                thread.join()
            both.wait(60)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    assert [log.rest().text for log in logs] == [
        f"of {number}\nbytes of {number}\nof a thread of {number}\n" for number in range(2)
    ]
    assert sys.stdout is stream
