"""For how long counters have stood still, by the monotonic clock of whoever looks: a wrong time misleads nobody."""

import time
import uuid
from collections.abc import Mapping
from datetime import timedelta


class Observer:
    """Watches counters that the living keep moving."""

    def __init__(self, lease: timedelta) -> None:
        self._lease = lease.total_seconds()
        self._seen: dict[uuid.UUID, tuple[int, float]] = {}
        self._looked = time.monotonic()

    def silent(self, counters: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, float]:
        """The counters that stood still for longer than the lease, with the seconds for which they were seen to."""
        now = time.monotonic()
        # Who could not look for a while (the database was away) knows little of that time: nobody could move then.
        passed, self._looked = min(now - self._looked, self._lease / 3), now
        self._seen = {key: (count, self._stillness(key, count, passed)) for key, count in counters.items()}
        return {key: still for key, (_, still) in self._seen.items() if still > self._lease}

    def _stillness(self, key: uuid.UUID, count: int, passed: float) -> float:
        last, still = self._seen.get(key, (None, 0.0))
        return still + passed if count == last else 0.0
