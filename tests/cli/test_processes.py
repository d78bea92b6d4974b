"""The supervisor of `zenweb up`, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from zenweb.cli.processes import ChildDied, Supervisor

# Starts a grandchild that has left the group and ignores TERM, tells its id, and waits.
LEAVES_A_GRANDCHILD = """
import subprocess, sys, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
stray = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
stray.stdout.readline()
print(stray.pid, flush=True)
time.sleep(60)
"""
SUPERVISES_AND_WAITS = """
import os, signal, sys
from pathlib import Path
from zenweb.cli.processes import Supervisor

with Supervisor(Path(sys.argv[1])) as supervisor:
    child = supervisor.start("sleeper", ["sleep", "60"], env=os.environ, cwd=Path.cwd(), on_parent_death=signal.SIGKILL)
    print(child.process.pid, flush=True)
    supervisor.watch()
"""


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def start_python(supervisor: Supervisor, code: str, tmp_path: Path):
    return supervisor.start("helper", [sys.executable, "-c", code], env=os.environ, cwd=tmp_path)


def test_the_end_of_a_child_is_told_with_its_last_words(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        child = start_python(supervisor, "print('out of memory'); raise SystemExit(3)", tmp_path)
        child.process.wait()
        with pytest.raises(ChildDied, match=r"(?s)The helper ended with exit code 3.*out of memory"):
            supervisor.check()


def test_a_killed_child_is_told_with_its_signal(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start("helper", ["sleep", "60"], env=os.environ, cwd=tmp_path)
        child.process.kill()
        child.process.wait()
        with pytest.raises(ChildDied, match="The helper was killed by signal 9"):
            supervisor.check()


def test_a_child_that_ends_is_replaced_and_nothing_of_its_group_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("zenweb.cli.processes.LEAST_LIFE", 0.0)
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(
            "helper", ["sh", "-c", "sleep 60 & echo $!; wait"], env=os.environ, cwd=tmp_path
        )
        assert eventually(lambda: child.log.read_text().strip().isdigit())
        left = psutil.Process(int(child.log.read_text()))
        child.process.kill()
        child.process.wait()
        supervisor.replace_ended()
        assert [replaced.name for replaced in supervisor.children] == ["helper"]
        assert supervisor.children[0].is_running
        assert eventually(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_hardly_lived_is_not_replaced(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        start_python(supervisor, "raise SystemExit(3)", tmp_path)
        with pytest.raises(ChildDied, match="The helper ended with exit code 3"):
            supervisor.watch()


def test_a_grandchild_that_left_the_group_and_is_deaf_to_term_ends_too(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        child = start_python(supervisor, LEAVES_A_GRANDCHILD, tmp_path)
        assert eventually(lambda: child.log.read_text().strip().isdigit())
        stray = psutil.Process(int(child.log.read_text()))
    assert not stray.is_running()


def test_a_child_deaf_to_term_is_killed_after_the_grace(tmp_path, monkeypatch):
    monkeypatch.setattr("zenweb.cli.processes.STOP_GRACE", 0.1)
    with Supervisor(tmp_path) as supervisor:
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
        child = start_python(supervisor, deaf, tmp_path)
        assert eventually(lambda: child.log.read_text() != "")
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_killed_supervisor_takes_its_children_along(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISES_AND_WAITS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        child = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()
    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_an_adopted_process_is_buried_when_it_ends(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        # The subshell ends at once, which leaves its sleep without a parent but for the supervisor.
        child = supervisor.start(
            "helper", ["sh", "-c", "(sleep 0.1 &); exec sleep 60"], env=os.environ, cwd=tmp_path
        )

        def only_the_child_is_left() -> bool:
            supervisor.check()
            return [process.pid for process in psutil.Process().children()] == [child.process.pid]

        assert eventually(lambda: len(psutil.Process().children()) == 2)
        assert eventually(only_the_child_is_left)
