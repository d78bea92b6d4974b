"""What the web server's log is spared; `web_server_log.json` beside it names this filter for granian."""

import logging


class NoThreadAdvice(logging.Filter):
    """Drops the advice to have fewer threads: they wait, most of them, and are made on demand (cli/server.py)."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Configuration allows spawning up to")
