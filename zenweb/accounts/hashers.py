"""How passwords are kept: argon2id, at a cost that many who sign in at once, or guess, do not multiply."""

import threading
from typing import Any

from django.contrib.auth import hashers

AT_ONCE = 2  # of one process: each takes a core and its memory


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    """With OWASP's parameters for argon2id. Django's own take 100 MB for each who signs in.

    A password that was kept with others is kept anew when its owner signs in.
    """

    time_cost = 1
    memory_cost = 46 * 1024  # KiB
    parallelism = 1
    _turn = threading.BoundedSemaphore(AT_ONCE)

    def encode(self, *arguments: Any, **named: Any) -> str:
        with self._turn:
            return super().encode(*arguments, **named)

    def verify(self, *arguments: Any, **named: Any) -> bool:
        with self._turn:
            return super().verify(*arguments, **named)
