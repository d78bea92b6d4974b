"""`python -m benchmarks.waiting`: how long a list takes while others wait for the end of a run, and while none do."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from threading import Barrier

import httpx

from benchmarks.zenweb_side import ZenWeb, running

WAITING = 50
SECONDS = 12  # that each of them waits, for a run whose queue nobody serves
LISTS = 60


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as zenweb:
        zenweb.register("workloads.single")
        body = {"steps": {"only": {"queue": "of nobody"}}}
        run = zenweb.http.post("run_templates/single/runs", json=body).raise_for_status().json()["id"]
        alone = times_of_lists(zenweb)
        there = Barrier(WAITING + 1)
        with ThreadPoolExecutor(WAITING) as crowd:
            answers = [crowd.submit(wait, zenweb, run, there) for _ in range(WAITING)]
            there.wait()
            time.sleep(1)  # for their requests to arrive
            beside = times_of_lists(zenweb)
            still = sum(not answer.done() for answer in answers)
        print(f"A list takes {median(alone):.1f} ms, and {median(beside):.1f} ms while {still} wait.")  # noqa: T201


def wait(zenweb: ZenWeb, run: str, there: Barrier) -> None:
    headers = {"Authorization": zenweb.http.headers["Authorization"]}
    with httpx.Client(base_url=zenweb.http.base_url, headers=headers, timeout=90, trust_env=False) as http:
        there.wait()
        http.get(f"runs/{run}", params={"wait": SECONDS}).raise_for_status()


def times_of_lists(zenweb: ZenWeb) -> list[float]:
    """Milliseconds of each."""
    times = []
    for _ in range(LISTS):
        began = time.monotonic()
        zenweb.http.get("run_templates").raise_for_status()
        times.append((time.monotonic() - began) * 1000)
    return times


if __name__ == "__main__":
    main()
