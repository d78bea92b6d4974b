"""Nothing that a step started in its session stays when nobody else is left to end it."""

import subprocess
import sys

import psutil
import pytest

from zenweb.execution.processes import end_session


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
        end_session(leader.pid)
        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
