"""What a command's exit code tells; docs/command-line.md has the same table."""

from enum import IntEnum

from zenweb.enums import ExecutionStatus


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    UNREACHABLE = 4
    TIMED_OUT = 124  # as `timeout` of the coreutils has it
    LEFT = 130  # as shells have it: ended by Ctrl-C

    @property
    def words(self) -> str:
        return _WORDS[self]

    @classmethod
    def of_run(cls, status: ExecutionStatus) -> "ExitCode":
        """Of a run that has ended."""
        if status is ExecutionStatus.STOPPED:
            return cls.STOPPED
        return cls.DONE if status in {ExecutionStatus.COMPLETED, ExecutionStatus.CACHED} else cls.FAILED


_WORDS = {
    ExitCode.DONE: "It was done; the run that was waited for completed.",
    ExitCode.FAILED: "The run that was waited for failed; or it could not be done: no such thing, not allowed.",
    ExitCode.USAGE: "What was typed cannot be: an unknown option, a value that was refused. Nothing was started.",
    ExitCode.STOPPED: "The run that was waited for was stopped.",
    ExitCode.UNREACHABLE: "No server answers at the configured address, or it went away.",
    ExitCode.TIMED_OUT: "The run had not ended within `--timeout` seconds. It goes on.",
    ExitCode.LEFT: "Ctrl-C. A run that was waited for goes on.",
}
