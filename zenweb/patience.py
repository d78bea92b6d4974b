"""How long whoever waits for a run bears a server that is away, such as for its own update: the run goes on without."""

import time

from zenweb.exceptions import ServerBusy, ServerUnreachable

SECONDS = 60.0
Away = (ServerUnreachable, ServerBusy)


class Patience:
    """Of one who asks again and again: it begins anew with each answer."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    def bear(self, error: ServerUnreachable | ServerBusy) -> bool:
        """Whether this is the first time since an answer came. Raises the error when it has been too long."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            return True
        if now - self._away_since > SECONDS:
            raise error
        return False

    def renew(self) -> None:
        """An answer came."""
        self._away_since = None
