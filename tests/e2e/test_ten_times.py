"""The thinnest line, ten times in a row while the machine is busy with something else."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.handle import Cluster
from tests.e2e.fleet import Fleet, versions
from tests.e2e.load import Load

TIMES = 10
_BUSY = "import time; end = time.time() + 120\nwhile time.time() < end: sum(range(10000))"


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two processes that want a core each; they stop by themselves after two minutes."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(2)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.long
@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.usefixtures("busy_machine")
def test_one_promotion_and_one_rollback_seen_at_a_client(
    ml: Fleet, cluster: Cluster, number: int
) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.rollout(versions=versions("v1", "v2", "v3"))
    ml.ready()
    ml.behave("v3", errors=0.4)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.release("v3")
        ml.phase("RolledBack")

    assert load.failed == {}, number
    assert load.answered["v2"] > load.answered["v3"] > 0
    assert load.log[-1][1] == "v2"
    assert ml.weights("fraud-rollout") == {"fraud-v2": 10_000}
