"""The worker's ear for the programs that a step has started and that wait for runs."""

import logging
import selectors
import socket
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from zenweb.execution.processes import IS_LINUX
from zenweb.execution.protocol import GoesOn, Waiting, WaitsForRun
from zenweb.execution.told_waits import address_of

logger = logging.getLogger(__name__)
MOST_PROGRAMS = 50  # that are listened to at once; with one of them the slot is free already
RUN_ID = 16  # bytes
CREDENTIALS = struct.Struct("3i")  # process, user, group


class WaitingPrograms:
    """Of one attempt. Programs of other users than its own are not listened to."""

    def __init__(self, user: int) -> None:
        self.name = ""
        """Where they find it; empty where there is no such thing."""
        self._user = user
        self._ear: socket.socket | None = None
        self._lines: dict[socket.socket, uuid.UUID | None] = {}
        if IS_LINUX:
            self._open()

    def _open(self) -> None:
        name = f"zenweb-{uuid.uuid4().hex}"
        try:
            self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._ear.bind(address_of(name))
            self._ear.listen(MOST_PROGRAMS)
            self._ear.setblocking(False)
        except OSError:
            logger.warning(
                "Programs of a step cannot tell that they wait; they keep its slot.", exc_info=True
            )
            self.close()
        else:
            self.name = name

    def register(self, selector: selectors.BaseSelector, hear: Callable[[Waiting], None]) -> None:
        """Have the selector call what tells `hear` who waits, and who goes on or is gone."""
        if self._ear is not None:
            selector.register(self._ear, selectors.EVENT_READ, partial(self._let_in, selector, hear))

    def close(self) -> None:
        """The attempt is over, and whatever it has told."""
        for opened in (self._ear, *self._lines):
            if opened is not None:
                opened.close()
        self._ear = None
        self._lines.clear()

    def _let_in(self, selector: selectors.BaseSelector, hear: Callable[[Waiting], None]) -> None:
        if self._ear is None:
            return
        try:
            line, _ = self._ear.accept()
        except BlockingIOError:
            return
        except OSError:  # this process has too many files open: to be asked again and again does not help it
            logger.warning("No more programs of a step are heard that wait.", exc_info=True)
            selector.unregister(self._ear)
            return
        if len(self._lines) >= MOST_PROGRAMS or _user_of(line) != self._user:
            line.close()
            return
        line.setblocking(False)
        self._lines[line] = None
        selector.register(line, selectors.EVENT_READ, partial(self._listen, line, selector, hear))

    def _listen(
        self, line: socket.socket, selector: selectors.BaseSelector, hear: Callable[[Waiting], None]
    ) -> None:
        """A first packet is the run; whatever comes after that is the end."""
        try:
            packet = line.recv(RUN_ID + 1)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if self._lines[line] is None and len(packet) == RUN_ID:
            run_id = self._lines[line] = uuid.UUID(bytes=packet)
            hear(WaitsForRun(run_id=run_id))
            return
        selector.unregister(line)
        awaited = self._lines.pop(line)
        line.close()
        if awaited is not None:
            hear(GoesOn(run_id=awaited))


def _user_of(line: socket.socket) -> int | None:
    with suppress(OSError):
        sent = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        return int(CREDENTIALS.unpack(sent)[1])
    return None
