"""A whole ZenWeb on this machine: the database prepared, then broker, web server and worker as children."""

import errno
import json
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

from zenweb.cli.broker import accepts, find_redis, redis_command
from zenweb.cli.data_folder import Credentials, DataFolder
from zenweb.cli.environment import manage, own_environment, reachable
from zenweb.cli.processes import Supervisor
from zenweb.cli.server import THREADS, server_command
from zenweb.cli.worker import worker_command
from zenweb.exceptions import ZenWebError

START_TIMEOUT = 60.0  # seconds; the first start on a slow disk compiles every module


class PortUnusable(ZenWebError):
    """The web server cannot listen there."""


@dataclass(frozen=True)
class LocalServer:
    """What is started, and where."""

    folder: DataFolder
    host: str
    port: int
    environment: Mapping[str, str]

    @property
    def public_url(self) -> str:
        """What people type; a proxy may stand there."""
        return self.environment["ZENWEB_PUBLIC_URL"]

    @property
    def local_url(self) -> str:
        return f"http://{reachable(self.host)}:{self.port}"

    def start(self, supervisor: Supervisor) -> tuple[Credentials | None, bool]:
        """Return when the web server answers and the worker waits for work: how to sign in, and whether that is new."""
        if not own_environment().get("ZENWEB_BROKER_URL"):
            self._start_broker(supervisor)
        manage("migrate", "--no-input", "--verbosity=0", env=self.environment, cwd=self.folder.path)
        web_server = server_command(
            self.host, self.port, threads=int(self.environment.get("ZENWEB_WEB_THREADS") or THREADS)
        )
        supervisor.start("web server", web_server, env=self.environment, cwd=self.folder.path)
        worker = supervisor.start(
            "worker",
            worker_command(),
            env=self.environment,
            cwd=self.folder.path,
            # Not TERM: a worker may then take its time, and nobody would be left to end its patience.
            on_parent_death=signal.SIGKILL,
        )
        is_new = self._make_first_user()  # while those two start
        supervisor.wait_for(
            lambda: _answers(f"{self.local_url}/health"),
            what="An answer of the web server",
            timeout=START_TIMEOUT,
        )
        supervisor.wait_for(
            lambda: b" ready." in worker.log.read_bytes(),
            what="The start of the worker",
            timeout=START_TIMEOUT,
        )
        return self.folder.read_credentials(), is_new

    def _start_broker(self, supervisor: Supervisor) -> None:
        self.folder.make_socket_folder()
        self.folder.socket.unlink(missing_ok=True)  # of a broker that was killed
        command = redis_command(find_redis(), self.folder)
        supervisor.start("broker", command, env=self.environment, cwd=self.folder.path, serves_others=True)
        supervisor.wait_for(
            lambda: accepts(self.folder.socket), what="The start of the broker", timeout=START_TIMEOUT
        )

    def _make_first_user(self) -> bool:
        """Make what a server cannot be without, unless it is there; was it made now?"""
        made = json.loads(manage("bootstrap", "--json", "--keep", env=self.environment, cwd=self.folder.path))
        return bool(made["created"])


def choose_port(host: str, port: int) -> int:
    """The port, if it is free; any free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise PortUnusable(
                f"Port {port} of {host} {reason}: choose another,"
                " as in `PORT=9000 make demo` or `zenweb up --port 9000`."
            ) from error
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2):  # a proxy does not reach this machine
            return True
    except (OSError, HTTPException):
        return False
