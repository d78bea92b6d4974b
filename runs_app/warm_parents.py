"""The warm parents of one worker: which are kept, which are started anew, which are given up."""

import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from runs_app.warm_parent import (
    PATIENCE,
    AttemptProcess,
    ImportFailed,
    Lease,
    NotWanted,
    ParentKey,
    ParentLost,
    Upbringing,
    WarmParent,
)
from zenweb.enums import StepProcess
from zenweb.execution.protocol import Order

MEMORY_INTERVAL = 5.0  # seconds between two looks at what the parents take: the kernel counts pages for it


class WarmParents:
    """The warm parents of one worker, the least recently used of them given up when they are too many or too big."""

    def __init__(self, upbringing: Upbringing) -> None:
        self.upbringing = upbringing
        self._parents: dict[ParentKey, WarmParent] = {}
        self._retired: list[WarmParent] = []
        self._ended: list[WarmParent] = []
        self._coming: list[WarmParent] = []
        self._must_spawn: dict[ParentKey, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._key_locks: dict[ParentKey, threading.Lock] = {}
        self._weigh_next = 0.0
        # A parent dies with the thread that started it (that is how the kernel counts), so one thread starts them all.
        self._nursery = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nursery")

    def fork(
        self,
        key: ParentKey,
        attempt: uuid.UUID,
        order: Order,
        lease: Lease,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> AttemptProcess:
        """A new child for the attempt; a parent that turns out to be gone is replaced once.

        Raises NotWanted when that is what `is_wanted` says while the code is imported, which may take minutes.
        """
        parent = self._borrow(key, is_wanted)
        try:
            return parent.fork(attempt, order, lease)
        except ParentLost:
            with self._lock:
                self._forget(parent)
            return self._borrow(key, is_wanted).fork(attempt, order, lease)

    def avoid_forking(self, key: ParentKey, reason: str) -> None:
        """Spawn where forking is asked for, until a new import may have other manners."""
        with self._lock:
            until = time.monotonic() + self.upbringing.bounds.age.total_seconds()
            self._must_spawn[key] = (reason, until)
            if (parent := self._parents.pop(key, None)) is not None:
                self._retired.append(parent)
                self._end_idle_retired()

    def warm_up(self, key: ParentKey) -> None:
        """Start the parent unless there is one. Raises ImportFailed."""
        self.give_back(self._borrow(key, lambda: True))

    def give_back(self, parent: WarmParent) -> None:
        with self._lock:
            parent.attempts -= 1
            parent.used = time.monotonic()
            self._end_idle_retired()

    def all(self) -> list[WarmParent]:
        with self._lock:
            return [*self._parents.values(), *self._retired]

    def ping(self, lease: Lease) -> None:
        for parent in self.all():
            parent.send({"op": "ping", "until": lease.until})

    def tidy_up(self) -> None:
        """End what nobody has used for long, and the least recently used while all together take too much memory."""
        now, bounds = time.monotonic(), self.upbringing.bounds
        with self._lock:
            for parent in self._idle():
                if now - parent.used > bounds.idle.total_seconds():
                    self._retire(parent)
            self._ended = [parent for parent in self._ended if parent.process.poll() is None]
        if now < self._weigh_next:
            return
        self._weigh_next = now + MEMORY_INTERVAL
        weights = {parent: parent.memory for parent in self.all()}
        with self._lock:
            for parent in self._idle():
                if sum(weights.values()) <= bounds.memory:
                    break
                weights.pop(parent, None)
                self._retire(parent)

    def end_all(self) -> None:
        """End every parent and with it everything that runs below."""
        everyone = self.all()
        with self._lock:
            everyone += self._ended
            self._parents.clear()
            self._retired.clear()
            self._ended.clear()
            coming = list(self._coming)
        for parent in coming:  # whoever waits for its import sees it end
            parent.process.kill()
        for parent in everyone:
            parent.end()
        for parent in everyone:
            try:
                parent.process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                parent.kill()

    def _borrow(self, key: ParentKey, is_wanted: Callable[[], bool]) -> WarmParent:
        """The parent for this key, or one that spawns where it turns out that its children could not go on."""
        if (reason := self._reason_to_spawn(key)) is None:
            parent = self._borrow_as_asked(key, is_wanted)
            if parent.obstacle is None:
                return parent
            reason = f"importing {key.module} left {parent.obstacle}"
            self.avoid_forking(key, reason)
            self.give_back(parent)
        spawning = self._borrow_as_asked(replace(key, process=StepProcess.SPAWN), is_wanted)
        spawning.instead_of_forking = reason
        return spawning

    def _reason_to_spawn(self, key: ParentKey) -> str | None:
        with self._lock:
            reason, until = self._must_spawn.get(key, ("", 0.0))
            if time.monotonic() < until:
                return reason
            self._must_spawn.pop(key, None)
            return None

    def _borrow_as_asked(self, key: ParentKey, is_wanted: Callable[[], bool]) -> WarmParent:
        with self._lock:
            key_lock = self._key_locks.setdefault(key, threading.Lock())
        while not key_lock.acquire(timeout=PATIENCE):  # another one imports the same
            if not is_wanted():
                raise NotWanted
        try:
            with self._lock:
                parent = self._parents.pop(key, None)
                if parent is not None and not parent.is_fresh(self.upbringing):
                    self._retired.append(parent)
                    self._end_idle_retired()
                    parent = None
            if parent is None:
                parent = self._bring_up(key, is_wanted)
            with self._lock:
                parent.attempts += 1
                # At the end: dicts keep order, so the first is the least recently used.
                self._parents[key] = parent
                self._retire_surplus()
            return parent
        finally:
            key_lock.release()

    def _bring_up(self, key: ParentKey, is_wanted: Callable[[], bool]) -> WarmParent:
        self.upbringing.prove_code(key.code_root)
        parent = self._nursery.submit(WarmParent, key, self.upbringing).result()
        with self._lock:
            self._coming.append(parent)
        try:
            parent.wait_until_ready(is_wanted)
        except (ImportFailed, NotWanted):
            parent.kill()  # an import that hangs hears no order
            with self._lock:
                self._let_go(parent)
            raise
        finally:
            with self._lock:
                self._coming.remove(parent)
        return parent

    def _forget(self, parent: WarmParent) -> None:
        """One that was lost; another one may be in its place by now, which stays."""
        parent.attempts -= 1
        if self._parents.get(parent.key) is parent:
            del self._parents[parent.key]
        if parent in self._retired:
            self._retired.remove(parent)
        self._let_go(parent)

    def _let_go(self, parent: WarmParent) -> None:
        parent.end()
        self._ended.append(parent)

    def _idle(self) -> list[WarmParent]:
        """Those without attempts, the least recently used first."""
        return [parent for parent in self._parents.values() if parent.attempts == 0]

    def _retire_surplus(self) -> None:
        """Idle ones go first; without any, the oldest goes when its attempts have ended."""
        while (surplus := len(self._parents) - self.upbringing.bounds.number) > 0:
            for parent in (self._idle() or list(self._parents.values()))[:surplus]:
                self._retire(parent)

    def _retire(self, parent: WarmParent) -> None:
        self._retired.append(self._parents.pop(parent.key))
        self._end_idle_retired()

    def _end_idle_retired(self) -> None:
        for parent in [parent for parent in self._retired if parent.attempts == 0]:
            self._retired.remove(parent)
            self._let_go(parent)
