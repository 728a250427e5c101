"""Two versions of a model behind MLServer, as it comes from its index, compared in shadow."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import joblib
import numpy as np
import pytest
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.cluster.build import environments
from tests.shadow import envoy, observer

PATH = "/v2/models/cancer/infer"
TABLE = load_breast_cancer()
ROWS = TABLE.data[:120]


def trained(features: int) -> ClassifierMixin:
    """A model that learned from the first features alone; it still takes all of them."""
    seen = np.where(np.arange(TABLE.data.shape[1]) < features, TABLE.data, 0.0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(seen, TABLE.target)
    return model


def stored(folder: Path, model: ClassifierMixin, *, port: int) -> Path:
    """The folder that MLServer is started in."""
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "http_port": port,
                "grpc_port": envoy.free_port(),
                "metrics_port": envoy.free_port(),
                "parallel_workers": 0,
            }
        )
    )
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "cancer",
                "implementation": "mlserver_sklearn.SKLearnModel",
                "parameters": {"uri": "./model.joblib", "version": "v1"},
            }
        )
    )
    return folder


@contextlib.asynccontextmanager
async def mlserver(folder: Path, model: ClassifierMixin) -> AsyncIterator[int]:
    """A server that is ready; gives its port."""
    port = envoy.free_port()
    scripts = environments.ensure("mlserver") / "bin"
    process = await asyncio.create_subprocess_exec(
        *(scripts / "mlserver", "start", "."),
        cwd=stored(folder, model, port=port),
        env={"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(90), aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v2/models/cancer/ready"
            while not await _is_ready(session, url):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(url) as answer:
            return answer.status == 200
    return False


@pytest.mark.timeout(180)
async def test_answers_of_mlserver_are_compared_pair_by_pair(tmp_path: Path) -> None:
    ours, theirs = trained(30), trained(3)
    differing = int(np.sum(ours.predict(ROWS) != theirs.predict(ROWS)))
    assert 0 < differing < len(ROWS)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        stable = await enter(mlserver(tmp_path / "v1", ours))
        candidate = await enter(mlserver(tmp_path / "v2", theirs))
        config = {
            "labels": {"rollout": "cancer", "version": "v2"},
            "models": {
                "candidate": f"http://127.0.0.1:{candidate}",
                "stable": f"http://127.0.0.1:{stable}",
            },
            "fronts": {"host": "127.0.0.1", "extProc": 0, "operations": 0},
            "protocol": {"openInference": {"outputs": ["predict"]}},
            "task": {"classification": {"labels": ["0", "1"]}},
            "noise": {"mode": "Paired", "share": 0.5},
        }
        running = await enter(observer.running(tmp_path, config))
        front = await enter(
            envoy.running(tmp_path, stable=stable, observer=running.ports["extProc"])
        )
        await _ask_all(front)
        counts = await running.settled(len(ROWS))
    assert counts.outcomes() == {"both_ok": len(ROWS)}
    assert counts.of("comparisons_total", pair="candidate", verdict="mismatch") == differing
    # The same model, asked again, says the same: there is no noise here.
    assert counts.of("comparisons_total", pair="control", verdict="mismatch") == 0
    assert 30 <= counts.of("excess_total") <= 90


async def _ask_all(front: envoy.Envoy) -> None:
    async with aiohttp.ClientSession() as users:
        for row in ROWS:
            tensor = {
                "name": "predict",
                "shape": [1, len(row)],
                "datatype": "FP64",
                "data": [float(value) for value in row],
            }
            async with users.post(front.url + PATH, json={"inputs": [tensor]}) as answer:
                assert answer.status == 200
