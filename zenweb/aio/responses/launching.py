# Written by `make docs` from zenweb/responses/launching.py: change that.
"""Starting runs: the files of this machine are sent first, and one call makes one run."""

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from zenweb.aio.responses.artifacts import ArtifactVersionResponse
from zenweb.aio.responses.runs import PipelineRunResponse
from zenweb.aio.transport import FILE_TIMEOUT
from zenweb.answers import error_of
from zenweb.exceptions import ZenWebError
from zenweb.execution.triggers import headers_for_run, is_to_repeat

# What loads pydantic is imported where it is needed, as in zenweb/client.py.
if TYPE_CHECKING:
    from zenweb.aio.transport import AsyncTransport
    from zenweb.config.run_configuration import PipelineRunConfiguration

    RunConfiguration = PipelineRunConfiguration | Mapping[str, Any]
else:
    RunConfiguration = Any

logger = logging.getLogger("zenweb.client")
MOST_AT_ONCE = 100


async def upload_file(
    transport: "AsyncTransport", path: str | PathLike[str], name: str | None = None
) -> ArtifactVersionResponse:
    from zenweb.local_files import LocalFile  # see above

    file = LocalFile.at(path)
    answer = await transport.request(
        "POST",
        "/uploads",
        is_repeatable=True,  # at worst it is there twice, and nobody refers to the first
        params={"name": name or file.name},
        content=file.asynchronous(),
        headers=file.headers,
        timeout=FILE_TIMEOUT,
    )
    return ArtifactVersionResponse(transport, answer)


async def send_files(
    transport: "AsyncTransport", configuration: RunConfiguration | None
) -> RunConfiguration | None:
    """The configuration with its files sent, and referred to."""
    from zenweb.local_files import paths_in, with_references  # see above

    uploaded = {path: (await upload_file(transport, path)) for path in paths_in(configuration)}
    return with_references(configuration, uploaded)


async def wired(transport: "AsyncTransport", configuration: RunConfiguration | None) -> dict[str, Any]:
    """The configuration as JSON, its files sent."""
    from zenweb.config.run_configuration import wire_configuration  # see above

    return wire_configuration(await send_files(transport, configuration))


async def start_run(
    transport: "AsyncTransport",
    path: str,
    configuration: Mapping[str, Any],
    idempotency_key: str | None = None,
) -> PipelineRunResponse:
    """One, however often the request has to be sent until an answer comes."""
    answer: dict[str, Any] = {}
    for headers in headers_for_run(path, configuration, idempotency_key):
        answer = await transport.request("POST", path, json=configuration, headers=headers)
        if not is_to_repeat(answer):
            break
    warn(answer)
    return PipelineRunResponse(transport, answer)


async def start_runs(
    transport: "AsyncTransport",
    path: str,
    configurations: Sequence[Mapping[str, Any]],
    idempotency_key: str | None = None,
) -> list[PipelineRunResponse | ZenWebError]:
    """Each run, or why it was refused, in their order; as many in a request as one takes.

    A request that fails is why, for each of its own: the runs that were started before are not to be lost with it.
    """
    found: list[PipelineRunResponse | ZenWebError] = []
    for start in range(0, len(configurations), MOST_AT_ONCE):
        body = {"runs": [_item(each) for each in configurations[start : start + MOST_AT_ONCE]]}
        headers = next(headers_for_run(f"{path}/bulk", body, _key_of_batch(idempotency_key, start)))
        try:
            answer = await transport.request("POST", f"{path}/bulk", json=body, headers=headers)
        except ZenWebError as error:
            if not found:
                raise
            found += [error] * len(body["runs"])
            continue
        for item in answer["items"]:
            if item["run"] is None:
                found.append(error_of(item["status"], item))
            else:
                warn(item["run"])
                found.append(PipelineRunResponse(transport, item["run"]))
    return found


def _key_of_batch(idempotency_key: str | None, start: int) -> str | None:
    """The first request has the caller's own key, so that one that failed can be made again by itself with its own."""
    if idempotency_key is None or start == 0:
        return idempotency_key
    return str(uuid5(NAMESPACE_OID, f"{idempotency_key} {start}"))


def warn(answer: Mapping[str, Any]) -> None:
    """Tell what was accepted and has no effect."""
    for warning in answer.get("warnings") or ():
        logger.warning("%s", warning)


def _item(configuration: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in configuration.items() if key != "preset"}
    return {"configuration": given, "preset": configuration.get("preset") or ""}
