"""A look at a real Prometheus reads what a client counted, however versions are told apart.

No operator is needed: a route splits the traffic, a client counts the answers of each version, and
one look reads a model server's own counters and the gateway's.
"""

import asyncio
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
from modelrollout.adapters.prometheus import SourceConfig, Sources
from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import Look
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code
from modelrollout.metrics import ArmSeen, presets
from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet

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
        body = urllib.parse.urlencode({"query": query}).encode()
        url = f"{self.cluster.prometheus_url}/api/v1/query"
        with urllib.request.urlopen(url, body, timeout=10) as answer:
            found: list[Json] = json.load(answer)["data"]["result"]
            return found

    async def scraped_after(self, instant: float) -> float:
        """When everything was scraped after an instant; three pods and the gateway."""
        # `timestamp` of anything but a selector is the time of the query.
        ours = f'timestamp(up{{namespace="{self.ml.namespace}",job=~"fraud-v[12]"}})'
        query = f'count(({ours} or timestamp(up{{job="traefik"}})) > {instant:.3f})'
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self.ask(query)
            if found and float(found[0]["value"][1]) == 3 + 1:
                return time.time()
            await asyncio.sleep(0.2)
        raise AssertionError(f"not scraped within a minute: {self.ask('up')}")

    async def send(self) -> None:
        """Sends requests between two scrapes and notes the window around them."""
        headers, gate = {"Host": self.ml.host}, asyncio.Semaphore(AT_ONCE)
        url = f"{self.cluster.gateway_url}/predict"
        async with aiohttp.ClientSession(headers=headers) as session:

            async def one() -> tuple[str, int]:
                async with gate, session.get(url) as answer:
                    return str((await answer.json())["model_version"]), answer.status

            await _answered(session, url)
            began = await self.scraped_after(time.time())
            self.ml.behave("v1", errors=0.1, slow=0.1)
            self.ml.behave("v2", errors=0.3, slow=0.3, quality=3.0)
            self.answers.update(await asyncio.gather(*(one() for _ in range(REQUESTS))))
        ended = began
        for _ in range(SCRAPES):
            ended = await self.scraped_after(time.time())
        self.window = Window(began, ended, "v2", "v1")


async def _answered(session: aiohttp.ClientSession, url: str) -> None:
    """Waits until the gateway has the route; these answers lie before the window."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        async with session.get(url) as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the gateway has no route within a minute")


def route(host: str) -> Json:
    """Half of the requests to each version."""
    backends = [{"name": f"fraud-{v}", "port": 8080, "weight": 50} for v in VERSIONS]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "fraud"},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [host],
            "rules": [{"backendRefs": backends}],
        },
    }


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """Two pods of v1, one of v2, and the answers to some hundred requests."""
    with kubectl.new_namespace("series") as namespace:
        ml = Fleet(namespace)
        ml.deploy("v1", replicas=2)
        ml.deploy("v2")
        ml.apply(route(ml.host))
        made = Site(cluster, ml)
        asyncio.run(made.send())
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
