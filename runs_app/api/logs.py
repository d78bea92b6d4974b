"""REST for what steps print."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api.runs import find_run
from runs_app.api.steps import find_step
from runs_app.logs import Follower, read_log, read_run_log
from zenweb.api.listing import flag
from zenweb.api.operations import TEXT, Parameter, operation
from zenweb.api.places import FOLLOWING_LOGS, Places

FOLLOWERS = Places(
    FOLLOWING_LOGS,
    "Too many follow logs here at once. Ask again later, or without follow=true for what there is so far.",
)


FOLLOW = Parameter(
    "follow",
    "What is printed as it comes, until the end: a JSON object `{step, attempt, text}` per line.",
    {"type": "boolean", "default": False},
)


class StepLogs(APIView):
    """The log of a step; with `follow=true` as it comes, until the step has ended."""

    @operation(
        "Get the log of a step.", parameters=(FOLLOW,), answer=str, also={"application/x-ndjson": TEXT}
    )
    def get(self, request: Request, step_id: str) -> HttpResponseBase:
        step = find_step(request, step_id)
        if wants_to_follow(request):
            return stream_log(Follower(step.run_id, step.pk), request.user.pk)
        return Response(read_log(step))


class RunLogs(APIView):
    """The logs of a run's steps; with `follow=true` as they come, until the run has ended."""

    @operation(
        "Get the logs of a run's steps.",
        parameters=(FOLLOW,),
        answer=str,
        also={"application/x-ndjson": TEXT},
    )
    def get(self, request: Request, name_or_id: str) -> HttpResponseBase:
        run = find_run(request, name_or_id)
        if wants_to_follow(request):
            return stream_log(Follower(run.pk), request.user.pk)
        return Response(read_run_log(run))


def wants_to_follow(request: Request) -> bool:
    return flag(request.query_params, "follow")


def stream_log(follower: Follower, who: object) -> HttpResponseBase:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    lines = FOLLOWERS.seat(lines_of(follower), who)
    return StreamingHttpResponse(lines, content_type="application/x-ndjson", headers=headers)


def lines_of(follower: Follower) -> Iterator[bytes]:
    """A JSON object per line and piece. Empty lines show that the connection lives, and find out whether it does."""
    for piece in follower.follow():
        yield b"\n" if piece is None else _line(asdict(piece))
    if not follower.is_over:
        yield _line({"goes_on": True})


def _line(told: dict[str, Any]) -> bytes:
    return f"{json.dumps(told)}\n".encode()
