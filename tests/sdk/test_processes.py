"""Nothing that a step started in its session stays when nobody else is left to end it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from zenweb.execution.processes import end_left_over


@pytest.mark.skipif(sys.platform != "linux", reason="sessions are found as Linux tells them")
def test_a_session_ends_after_the_process_that_led_it():
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with leader:
        left = psutil.Process(int(leader.stdout.readline()))
        leader.kill()
        leader.wait()
        assert left.is_running()
        assert end_left_over("MARK=none", leader.pid) == []
        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform != "linux", reason="marks are found as Linux tells them")
def test_what_moved_to_a_session_of_its_own_is_found_by_its_mark():
    environment = {"PATH": os.environ["PATH"]}
    marked = subprocess.Popen(["sleep", "60"], env={**environment, "MARK": "a1"}, start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], env={**environment, "MARK": "a12"}, start_new_session=True)
    try:
        assert end_left_over("MARK=a1") == []
        assert (marked.wait(1), other.poll()) == (-signal.SIGKILL, None)
    finally:
        other.kill()
        other.wait()
        marked.kill()
        marked.wait()
