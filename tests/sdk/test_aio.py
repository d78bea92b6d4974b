"""The client for event loops: written from the one that waits, against the real application in this process."""

import asyncio
import inspect
import json
import threading
import time
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from tests.in_process import AsyncNetwork, LosingAnswers
from tools.asynchronous import ROOT, written
from zenweb.aio import AsyncClient
from zenweb.aio.transport import AsyncTransport
from zenweb.client import Client
from zenweb.exceptions import DoesNotExist, NotAskedFor, ServerUnreachable

RUN = UUID(int=1)


@pytest.fixture
def client(alices_key) -> AsyncClient:
    return AsyncClient(AsyncTransport("http://testserver", alices_key, AsyncNetwork()))


def public_callables(kind):
    return {name: value for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize("path", written(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_written_is_what_the_waiting_client_says_now(path: Path):
    assert path.read_text(encoding="utf-8") == written()[path], "Run: make docs"


def test_every_method_is_there_with_the_same_parameters_and_is_awaited():
    waiting, awaited = public_callables(Client), public_callables(AsyncClient)
    assert [*waiting] == [*awaited]
    assert all(inspect.iscoroutinefunction(method) for method in awaited.values())
    for name, method in waiting.items():
        assert [*inspect.signature(method).parameters] == [*inspect.signature(awaited[name]).parameters]


def test_a_template_is_run_its_steps_are_read_and_it_is_stopped(client: AsyncClient, template: RunTemplate):
    async def story():
        async with client:
            found = await client.get_run_template("daily-retraining")
            run = await client.trigger_pipeline(template_id=found.id, run_configuration=found.config_template)
            steps = await run.steps
            await run.stop()
            ended = await run.wait(timeout=5)
            return [*steps], ended.status, [event.sentence for event in await ended.events]

    names, status, events = asyncio.run(story())
    assert (names, status) == (["trainer", "evaluator"], "stopped")
    assert events[0].startswith("Accepted from")
    assert PipelineRun.objects.get().status == "stopped"


def test_a_list_goes_on_over_its_pages(client: AsyncClient, template: RunTemplate):
    async def story():
        for _ in range(3):
            await client.trigger_pipeline(template_id=template.pk)
        page = await client.list_pipeline_runs(size=2)
        return len(page), [run.id async for run in page.all()]

    size, every = asyncio.run(story())
    assert (size, set(every)) == (2, {run.pk for run in PipelineRun.objects.all()})


def test_what_a_list_left_out_is_asked_for_before_it_is_read(client: AsyncClient, template: RunTemplate):
    async def story():
        [found] = await client.list_run_templates(hydrate=False)
        assert found.name == template.name
        with pytest.raises(NotAskedFor, match=r"came without its metadata.*await it\.refresh\(\)"):
            _ = found.config_template
        return (await found.refresh()).config_template

    assert "trainer" in asyncio.run(story()).steps


def test_errors_are_the_same(client: AsyncClient, stacks):
    with pytest.raises(DoesNotExist, match="There is no run 'never'"):
        asyncio.run(client.get_pipeline_run("never"))


def test_a_run_whose_answer_is_lost_is_started_once(client: AsyncClient, template: RunTemplate, alices_key):
    losing = AsyncClient(AsyncTransport("http://testserver", alices_key, AsyncNetwork(LosingAnswers(1))))
    run = asyncio.run(losing.trigger_pipeline(template_id=template.pk))
    assert PipelineRun.objects.get().pk == run.id


def test_a_job_that_hangs_up_does_not_break_the_request_of_another():
    is_asked, is_left = asyncio.Event(), asyncio.Event()
    asked = []

    async def answer(request):
        asked.append(transport._pool.http)
        is_asked.set()
        await is_left.wait()
        return httpx.Response(200, json=asked[0].is_closed)

    async def leave():
        async with AsyncClient(transport):
            await is_asked.wait()
        is_left.set()

    transport = AsyncTransport("http://server", "key", httpx.MockTransport(answer))

    async def story():
        return await asyncio.gather(transport.post("/x"), leave())

    was_closed, _ = asyncio.run(story())
    assert (was_closed, asked[0].is_closed) == (False, True)


def test_what_was_open_in_loops_that_are_over_is_let_go_of():
    transport = AsyncTransport(
        "http://server", "key", httpx.MockTransport(lambda _: httpx.Response(200, json=1))
    )
    for _ in range(3):
        asyncio.run(transport.get("/x"))
    assert len(transport._pool._by_loop) == 1


def test_a_file_is_uploaded_piece_by_piece(client: AsyncClient, stacks, tmp_path):
    (tmp_path / "orders.csv").write_bytes(b"x" * 200_000)
    uploaded = asyncio.run(client.upload_file(tmp_path / "orders.csv"))
    asyncio.run(client.download_file(uploaded.id, tmp_path / "again.csv"))
    assert (tmp_path / "again.csv").read_bytes() == b"x" * 200_000


def test_a_client_serves_one_loop_after_the_other(client: AsyncClient, stacks):
    first, second = (asyncio.run(client.list_stacks()).total for _ in "ab")
    assert first == second == 2


def test_nobody_there_is_said_in_the_same_sentence():
    client = AsyncClient(AsyncTransport("http://127.0.0.1:9", "key"))
    with pytest.raises(ServerUnreachable, match="start one with `zenweb up`"):
        asyncio.run(client.list_stacks())


def test_a_hundred_waits_hold_no_thread_and_take_no_longer_than_one():
    begun = time.monotonic()

    def answer(request: httpx.Request) -> httpx.Response:
        is_over = time.monotonic() > begun + 0.5
        if request.url.path.endswith("/status"):
            return httpx.Response(200, text=json.dumps("completed" if is_over else "running"))
        body = {"status": "completed", "url": "/"}
        return httpx.Response(200, json={"id": str(RUN), "name": "nightly", "body": body})

    async def story():
        transport = AsyncTransport("http://server", "key", httpx.MockTransport(answer))
        run = await AsyncClient(transport).get_pipeline_run(RUN)
        ended = await asyncio.gather(*(run.wait(timeout=30) for _ in range(100)))
        return ended, threading.active_count()

    before = threading.active_count()
    ended, threads = asyncio.run(story())
    assert {run.status for run in ended} == {"completed"}
    assert threads == before
    assert time.monotonic() - begun < 30  # one after the other they would take 50
