"""How a program that a step has started tells the worker that it waits for a run: by one connection for each wait.

The kernel closes it when the program ends, however it ends: nothing has to be renewed, and nothing goes on that nobody
waits for any more. Every client imports this: it needs the standard library only.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from zenweb.connection import where_waits_are_told

PATIENCE = 1.0  # seconds; a worker that is alive lets somebody in at once


def address_of(name: str) -> str:
    """Of Linux's abstract ones: no file that could be left over or replaced, and no path that could be too long."""
    return f"\0{name}"


@contextmanager
def telling_worker(run_id: UUID) -> Iterator[None]:
    """While it lasts, the worker of the step that has started this program knows that it waits for that run.

    Nothing happens outside of a step, or where its worker cannot be reached, such as from a container.
    """
    line = _connected()
    if line is None:
        yield
        return
    with line:
        with suppress(OSError):
            line.sendall(run_id.bytes)
        try:
            yield
        finally:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)  # a process that was forked meanwhile has it, too


def _connected() -> socket.socket | None:
    name = where_waits_are_told()
    if not name:
        return None
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.settimeout(PATIENCE)
    try:
        line.connect(address_of(name))
    except OSError:
        line.close()
        return None
    return line
