"""What a step prints, as its worker keeps it and shows it meanwhile."""

import codecs
import time
from collections.abc import Callable

LOG_INTERVAL = 0.4  # seconds between two looks at what a running step printed


class CutLog:
    """Keeps the beginning and the last quarter of what is printed, with a line between them if anything is missing."""

    def __init__(self, limit: int) -> None:
        self._limit, self._most_last = limit, limit // 4
        self.beginning = bytearray()
        """With that line, once it is certain: it only ever grows, so that it can be shown meanwhile."""
        self._last = bytearray()
        self._is_cut = False

    def add(self, printed: bytes) -> None:
        room = max(self._limit - self._most_last - len(self.beginning), 0)
        self.beginning += printed[:room]
        self._last += printed[room:]
        if not self._is_cut and len(self._last) > self._most_last:
            self._is_cut = True
            self.beginning += (
                f"\n[cut here: a step's log holds at most {self._limit} bytes; the last {self._most_last} follow]\n"
            ).encode()
        if len(self._last) > 2 * self._most_last:  # not each time: what stays is copied
            self._forget_the_middle()

    def whole(self) -> bytes:
        self._forget_the_middle()
        return bytes(self.beginning + self._last)

    def _forget_the_middle(self) -> None:
        del self._last[: max(len(self._last) - self._most_last, 0)]


class LogTail:
    """Passes on, piece by piece and as text, what a growing log has that was not shown yet."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._shown = 0
        self._last = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def has_shown(self) -> bool:
        return self._shown > 0

    def show(self, printed: bytearray) -> None:
        now = time.monotonic()
        if len(printed) == self._shown or now - self._last < LOG_INTERVAL:
            return
        text = self._decoder.decode(bytes(printed[self._shown :]))
        self._shown, self._last = len(printed), now
        self._show(text.replace("\x00", "\N{REPLACEMENT CHARACTER}"))
