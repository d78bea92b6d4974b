"""Django's SQLite backend, with a turn to write.

SQLite has one writer at a time, and whoever finds it busy looks again after 1, 2, 5, 10 … milliseconds, which is longer
than most transactions take. Threads of one process wait for each other instead, and go on the moment it is their turn;
between processes SQLite decides as ever.
"""

import threading

from django.db.backends.sqlite3 import base

PATIENCE = 20.0  # seconds; then SQLite may refuse
_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        self._has_turn = _turn.acquire(timeout=PATIENCE)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # the stubs leave it out
        except BaseException:
            self._give_turn()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]  # the stubs leave it out  # one that fails is rolled back
        self._give_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]  # the stubs leave it out
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]  # the stubs leave it out
        finally:
            self._give_turn()

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turn.release()
