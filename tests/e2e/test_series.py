"""A look at a real Prometheus reads what a client counted, however versions are told apart.

Of most of it no operator is needed: a route splits the traffic, a client counts the answers of each
version, and one look reads a model server's own counters and the gateway's.
"""

import asyncio
import contextlib
import http.client
import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from modelrollout import metrics
from modelrollout.adapters.prometheus import Sources
from modelrollout.adapters.source import SourceConfig
from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import Look
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code
from modelrollout.metrics import ArmSeen, presets
from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load

Json = dict[str, Any]
REQUESTS = 300
AT_ONCE = 16
SCRAPES = 3
"""After the last request, so that half of the window still has one of each pod."""
VERSIONS = ("v1", "v2")

ERRORS = {"rate": {"events": fleet.SELECTOR, "total": "http_requests_total"}}


def gateway_arm() -> Json:
    """As the preset has it."""
    arm = presets.known()["traefik"].arm
    assert arm is not None
    return {"label": arm.label, "pattern": arm.pattern}


def own(namespace: str) -> Json:
    """Errors of the servers of one namespace: a label's pattern alone is not bound to one."""
    where = f'namespace="{namespace}"'
    events, total = f'http_requests_total{{{where},code=~"5.."}}', f"http_requests_total{{{where}}}"
    return {"rate": {"events": events, "total": total}}


def by_arm(namespace: str) -> Mapping[str, Json]:
    """Errors, by every way to tell versions apart."""
    count = "traefik_service_requests_total"
    gateway = {"rate": {"events": f'{count}{{code=~"5.."}}', "total": count}}
    return {
        "service": ERRORS,
        "pods": ERRORS | {"arm": {"kind": "Pods"}},
        "by-workload": own(namespace) | {"arm": {"label": "pod", "pattern": "{workload}-.*"}},
        "by-job": own(namespace) | {"arm": {"label": "job", "pattern": "{service}"}},
        "gateway": gateway | {"arm": gateway_arm()},
    }


def spec_of(host: str, *measures: Json, **analysis: Any) -> ModelRolloutSpec:
    """A rollout that compares v2 with v1 by these metrics."""
    given = fleet.rollout(host, target="v2", analysis={"metrics": list(measures), **analysis})
    return metrics.resolve(ModelRolloutSpec.model_validate(given["spec"]))


class Site:
    """Two versions behind the gateway, a client, and a source to look at."""

    def __init__(self, cluster: Cluster, ml: Fleet) -> None:
        self.cluster, self.ml = cluster, ml
        self.answers: Counter[tuple[str, int]] = Counter()
        self.window = Window(0.0, 0.0, "v2", "v1")

    def arms(self) -> dict[str, ArmSeen]:
        """What the operator would know of both versions."""
        return {
            version: ArmSeen(f"fraud-{version}", 8080, f"fraud-{version}", self.pods(version))
            for version in VERSIONS
        }

    def pods(self, version: str) -> dict[str, float]:
        """Pods of a version and when they started."""
        found = json.loads(self.ml.kubectl("get", "pods", "-l", f"version={version}", "-o", "json"))
        return {
            pod["metadata"]["name"]: datetime.fromisoformat(pod["status"]["startTime"]).timestamp()
            for pod in found["items"]
        }

    def trials(self, version: str) -> int:
        """Answers of a version that the client got."""
        return sum(number for (by, _), number in self.answers.items() if by == version)

    def errors(self, version: str) -> int:
        """Those of them that were errors."""
        return sum(n for (by, code), n in self.answers.items() if by == version and code >= 500)

    async def look(self, spec: ModelRolloutSpec, **source: Any) -> Look:
        """One look at the traffic that was sent."""
        config = SourceConfig(
            name="default", url=self.cluster.prometheus_url, scrape_interval=2.0, **source
        )
        sources = Sources((config,))
        try:
            assert metrics.check(spec, sources.facts()) is None
            return await sources.look(
                spec, namespace=self.ml.namespace, window=self.window, arms=self.arms()
            )
        finally:
            await sources.close()

    def ask(self, query: str) -> list[Json]:
        """The answer of the real Prometheus, now."""
        return self.cluster.query(query)

    async def scraped_after(self, instant: float, *, pods: int = 3) -> float:
        """When everything was scraped after an instant: these pods and the gateway."""
        # `timestamp` of anything but a selector is the time of the query.
        ours = f'timestamp(up{{namespace="{self.ml.namespace}",job=~"fraud-v[12]"}})'
        query = f'count(({ours} or timestamp(up{{job="traefik"}})) > {instant:.3f})'
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self.ask(query)
            if found and float(found[0]["value"][1]) == pods + 1:
                return time.time()
            await asyncio.sleep(0.2)
        raise AssertionError(f"not scraped within a minute: {self.ask('up')}")

    async def send(self, number: int) -> None:
        """Sends requests through the gateway; counts the answers that name a version."""
        headers, gate = {"Host": self.ml.host}, asyncio.Semaphore(AT_ONCE)
        async with aiohttp.ClientSession(headers=headers) as session:

            async def one() -> None:
                async with gate, session.get(f"{self.cluster.gateway_url}/predict") as answer:
                    if answer.content_type == "application/json":
                        version = str((await answer.json())["model_version"])
                        self.answers[version, answer.status] += 1

            await asyncio.gather(*(one() for _ in range(number)))

    async def until_both_answer(self) -> None:
        """Sends requests until each version answers."""
        before, deadline = self.answers.copy(), time.monotonic() + 60
        while time.monotonic() < deadline:
            if {version for version, _ in self.answers - before} == set(VERSIONS):
                return
            await self.send(2)
            await asyncio.sleep(0.05)
        raise AssertionError(f"not both versions answer within a minute: {self.answers}")

    async def begin(self) -> float:
        """When everything answers and was scraped; from here on answers are counted."""
        await self.until_both_answer()
        self.answers.clear()
        began = await self.scraped_after(time.time())
        self.misbehave()
        return began

    def misbehave(self) -> None:
        """Tells both versions to make errors."""
        self.ml.behave("v1", errors=0.1, slow=0.1)
        self.ml.behave("v2", errors=0.3, slow=0.3, quality=3.0)

    async def some_hundred_requests(self) -> None:
        """Sends requests between two scrapes and notes the window around them."""
        began = ended = await self.begin()
        await self.send(REQUESTS)
        for _ in range(SCRAPES):
            ended = await self.scraped_after(time.time())
        self.window = Window(began, ended, "v2", "v1")

    def crash(self, version: str) -> None:
        """Ends the only process of a version in the midst of a request, and waits for its next."""
        chosen = ("pod", "-l", f"version={version}", "--timeout=60s")
        (pod,) = json.loads(self.ml.kubectl("get", *chosen[:3], "-o", "json"))["items"]
        self.ml.behave(version, crash_after=1)
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/predict", timeout=10)
        restarted = "jsonpath={.status.containerStatuses[0].restartCount}=1"
        self.ml.kubectl("wait", f"--for={restarted}", *chosen)
        self.ml.kubectl("wait", "--for=condition=Ready", *chosen)


@contextlib.contextmanager
def deployed(cluster: Cluster) -> Iterator[Site]:
    """Two pods of v1 and one of v2 in a namespace of their own."""
    with kubectl.new_namespace("series") as namespace:
        ml = Fleet(namespace)
        ml.deploy("v1", replicas=2)
        ml.deploy("v2")
        half = {"backendRefs": [fleet.backend(version, 50) for version in VERSIONS]}
        ml.apply(fleet.route(ml.host, half))
        yield Site(cluster, ml)


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """The answers to some hundred requests."""
    with deployed(cluster) as made:
        asyncio.run(made.some_hundred_requests())
        yield made


pytestmark = pytest.mark.xdist_group("series")


def rate(look: Look, name: str, version: str) -> RateCounts:
    """The counts of a version."""
    pair = look.pairs[name]
    counts = pair.candidate if version == "v2" else pair.stable
    assert isinstance(counts, RateCounts), look.problems or look.down
    return counts


@pytest.mark.parametrize("arm", by_arm(""))
async def test_every_arm_finds_what_the_client_counted(site: Site, arm: str) -> None:
    look = await site.look(spec_of(site.ml.host, {"name": arm, **by_arm(site.ml.namespace)[arm]}))
    assert (look.down, look.problems) == (None, {})
    for version in VERSIONS:
        expected = RateCounts(site.trials(version), site.errors(version))
        assert expected.events > 0
        assert rate(look, arm, version) == expected


async def test_latency_and_mean_of_the_server_and_latency_of_the_gateway(site: Site) -> None:
    threshold = {"threshold": "250ms"}
    slow = {"histogram": "http_request_duration_seconds", **threshold}
    behind = {"histogram": "traefik_service_request_duration_seconds", **threshold}
    spec = spec_of(
        site.ml.host,
        fleet.SLOW | {"latency": slow},
        fleet.RATING,
        {"name": "behind", "latency": behind, "arm": gateway_arm()},
    )
    look = await site.look(spec)
    assert (look.down, look.problems) == (None, {})
    for version in VERSIONS:
        own, gateway = rate(look, "slow", version), rate(look, "behind", version)
        assert own.trials == gateway.trials == site.trials(version)
        # The gateway also sees what the machine does to a request.
        assert 0 < own.events <= gateway.events < gateway.trials
    better, worse = look.pairs["rating"].stable, look.pairs["rating"].candidate
    assert isinstance(better, MeanCounts)
    assert isinstance(worse, MeanCounts)
    assert (better.count, worse.count) == (site.trials("v1"), site.trials("v2"))
    assert better.total / better.count == pytest.approx(4.0, abs=0.2)
    assert worse.total / worse.count == pytest.approx(3.0, abs=0.2)


async def test_two_looks_in_a_row_count_what_one_look_counts(site: Site) -> None:
    spec = spec_of(site.ml.host, {"name": "errors", **ERRORS})
    whole, window = await site.look(spec), site.window
    cut = (window.start + window.end) / 2
    halves = []
    for start, end in ((window.start, cut), (cut, window.end)):
        site.window = Window(start, end, "v2", "v1")
        halves.append(await site.look(spec))
    site.window = window
    for version in VERSIONS:
        first, second = (rate(half, "errors", version) for half in halves)
        assert first + second == rate(whole, "errors", version)


async def test_a_look_is_one_query_whatever_it_asks(site: Site) -> None:
    log = site.cluster.query_log
    assert log is not None, "expected the query log of a cluster of ours"

    def queries() -> int:
        lines = log.read_text().splitlines()
        return sum(site.ml.namespace in line and "__part__" in line for line in lines)

    before = queries()
    measures = [{"name": name, **metric} for name, metric in by_arm(site.ml.namespace).items()]
    look = await site.look(spec_of(site.ml.host, *measures, fleet.SLOW, fleet.RATING))
    assert len(look.pairs) == len(measures) + 2
    assert (look.down, look.problems) == (None, {})
    assert queries() - before == 1


async def test_the_presets_read_the_server_and_the_gateway(site: Site) -> None:
    for preset in ("prometheus-client", "traefik"):
        look = await site.look(spec_of(site.ml.host, preset=preset))
        assert (look.down, look.problems) == (None, {})
        for version in VERSIONS:
            expected = RateCounts(site.trials(version), site.errors(version))
            assert rate(look, "errors", version) == expected


async def test_what_is_not_there_is_explained(site: Site) -> None:
    bad_bucket = {"histogram": "http_request_duration_seconds", "threshold": "300ms"}
    misnamed = {"events": fleet.SELECTOR, "total": "http_request_total"}
    misled = ERRORS | {"arm": {"label": "container", "pattern": "{version}"}}
    spec = spec_of(
        site.ml.host,
        {"name": "slow", "latency": bad_bucket},
        {"name": "misnamed", "rate": misnamed},
        {"name": "misled", **misled},
    )
    look = await site.look(spec)
    assert look.down is None
    told = {name: (why.code, why.sentence) for name, why in look.problems.items()}
    assert told["slow"][0] is Code.NOT_A_BUCKET
    assert "the nearest are 0.25s and 0.5s" in told["slow"][1]
    assert told["misnamed"][0] is told["misled"][0] is Code.NO_SERIES
    assert "no series named http_request_total" in told["misnamed"][1]
    assert 'try http_requests_total{container=~"v1"}' in told["misled"][1]
    assert 'service="fraud-v2"' in told["misled"][1]


async def test_a_regular_expression_that_prometheus_refuses_is_told(site: Site) -> None:
    refused = {"events": "http_requests_total{code=~'x{2000}'}", "total": "x"}
    spec = spec_of(site.ml.host, {"name": "errors", "rate": refused})
    look = await site.look(spec)
    assert look.down is not None
    assert "invalid repeat count" in look.down.sentence


async def test_the_source_own_matchers_come_on_top(site: Site) -> None:
    spec = spec_of(site.ml.host, {"name": "errors", **ERRORS})
    look = await site.look(spec, matchers={"namespace": "elsewhere"})
    assert look.problems["errors"].code is Code.NO_SERIES


async def test_a_raw_query_reads_the_same_where_the_source_allows_it(site: Site) -> None:
    raw = {
        "events": 'sum by (pod) (http_requests_total{code=~"5..",{arm}})',
        "total": "sum by (pod) (http_requests_total{ {arm} })",
    }
    spec = spec_of(site.ml.host, {"name": "errors", "rate": raw})
    look = await site.look(spec, allow_raw_queries=True)
    assert (look.down, look.problems) == (None, {})
    for version in VERSIONS:
        expected = RateCounts(site.trials(version), site.errors(version))
        assert rate(look, "errors", version) == expected


async def test_a_restart_and_a_new_pod_inside_the_window_lose_nothing(cluster: Cluster) -> None:
    with deployed(cluster) as site:
        began = await site.begin()
        await site.send(REQUESTS // 4)
        await site.scraped_after(time.time())
        site.crash("v2")
        site.ml.kubectl("scale", "deployment/fraud-v1", "--replicas=3")
        site.ml.kubectl("rollout", "status", "deployment/fraud-v1", "--timeout=60s")
        await site.until_both_answer()
        site.misbehave()
        await site.send(REQUESTS)
        ended = await site.scraped_after(time.time(), pods=4)
        site.window = Window(began, ended, "v2", "v1")
        spec = spec_of(
            site.ml.host,
            {"name": "errors", **ERRORS},
            {"name": "pods", **ERRORS, "arm": {"kind": "Pods"}},
            fleet.RATING,
        )
        look = await site.look(spec)
        assert (look.down, look.problems) == (None, {})
        for version in VERSIONS:
            expected = RateCounts(site.trials(version), site.errors(version))
            assert rate(look, "errors", version) == expected
            assert rate(look, "pods", version) == expected
        for version, counts in (
            ("v2", look.pairs["rating"].candidate),
            ("v1", look.pairs["rating"].stable),
        ):
            assert isinstance(counts, MeanCounts)
            assert counts.count == site.trials(version)


def test_a_rollout_counts_both_versions_by_every_arm(ml: Fleet, cluster: Cluster) -> None:
    measures = [{"name": name, **metric} for name, metric in by_arm(ml.namespace).items()]
    ml.serving(
        analysis={"interval": "4s", "warmUp": "2s", "metrics": measures},
        strategy={"canary": {"weights": [50], "minDuration": "60s"}},
    )
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.until(lambda status: (status.get("look") or {}).get("number", 0) >= 2)
    seen = {one["name"]: counted(one["samples"]) for one in found["status"]["metrics"]}
    assert seen.keys() == by_arm("").keys()
    for name, (candidate, stable) in seen.items():
        assert 0 < candidate <= load.answered["v2"], (name, seen)
        assert 0 < stable <= load.answered["v1"], (name, seen)
    # Pods and gateway are scraped at instants of their own; the same pods are the same counts.
    assert len({seen[name] for name in ("service", "pods", "by-workload", "by-job")}) == 1, seen
    assert all(number > 0 for number in found["status"]["look"]["counted"].values())


def counted(samples: str) -> tuple[int, int]:
    """Candidate and stable, as the status has them."""
    candidate, stable = (int(part.replace(",", "")) for part in samples.split("/"))
    return candidate, stable
