"""The client for event loops: `AsyncClient` has every method of `Client`, to be awaited.

    async with AsyncClient() as client:
        run = await client.trigger_pipeline(template_id="daily")
        await run.wait()
        print((await run.steps)["trainer"].outputs["score"].uri)

What asks the server is awaited, properties such as `run.steps` too; what was already told, as `run.status`, is not.
"""

from zenweb.aio.client import AsyncClient

__all__ = ["AsyncClient"]
