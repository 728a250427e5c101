"""What users meet: sticky versions, previews, limits, streams, faults, and what is counted."""

import asyncio
import io
from collections import Counter

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.assignment import assigning
from modelrollout.routing.contract import Tee
from modelrollout.routing.router import bootstrap, clusters, edition, snapshot
from modelrollout.routing.router.wanted import Fault
from tests.dataplane import envoys
from tests.dataplane.envoys import Envoy, Plane

USERS = [f"user-{number}" for number in range(400)]


async def met(plane: Plane, envoy: Envoy, header: str = "x-user-id") -> dict[str, str]:
    """The version that each user meets."""
    gate = asyncio.Semaphore(16)

    async def one(user: str) -> str:
        async with gate:
            return await plane.ask(envoy, **{header: user})

    return dict(zip(USERS, await asyncio.gather(*(one(user) for user in USERS)), strict=True))


async def followed(plane: Plane, envoy: Envoy, number: int) -> None:
    async with asyncio.timeout(10):
        while True:
            routes = (await envoy.editions(plane.session)).editions.get("routes")
            if routes is not None and routes.sequence == number:
                return
            await asyncio.sleep(0.02)


def intervals(*parts: tuple[str, int]) -> dict[str, object]:
    return {"intervals": [{"version": name, "parts": number} for name, number in parts]}


async def test_users_stay_on_their_version_while_its_share_grows(plane: Plane) -> None:
    sticky = {"sticky": {"header": "x-user-id"}}
    envoy, before = None, dict[str, str]()
    for number, share in enumerate((500, 2_000, 6_000, 10_000), start=1):
        rest = {"v1": 10_000 - share} if share < 10_000 else {}
        plane.store({"v2": share, **rest}, sequence=number, router=sticky)
        if envoy is None:
            envoy = await plane.envoy()
            await plane.ready(envoy)
        await followed(plane, envoy, number)
        now = await met(plane, envoy)
        assert now == await met(plane, envoy)
        assert [user for user in before if before[user] == "v2" and now[user] != "v2"] == []
        before = now
    assert set(before.values()) == {"v2"}


async def test_envoy_assigns_users_as_the_published_algorithm_does(plane: Plane) -> None:
    decision = intervals(("v2", 1_000), ("v1", 3_000), ("v3", 2_000), ("v1", 4_000))
    shares = {"v1": 7_000, "v2": 1_000, "v3": 2_000}
    sticky = {"sticky": {"header": "x-user-id"}}
    plane.store(shares, router=sticky, decision=decision)
    envoy = await plane.envoy()
    await plane.ready(envoy)
    stored = envoys.live(shares, router={"port": plane.port, **sticky}, decision=decision)
    assigned = assigning.of(
        ModelRolloutSpec.model_validate(stored["spec"]),
        ModelRolloutStatus.model_validate(stored["status"]).decision,
        stable="v1",
        namespace="ml",
        name="fraud",
    )
    found = await met(plane, envoy)
    assert found == {user: assigned.version_of(user) for user in USERS}
    assert set(found.values()) == {"v1", "v2", "v3"}


async def test_a_cookie_is_given_to_users_that_have_none_and_keeps_them(plane: Plane) -> None:
    plane.store({"v1": 5_000, "v2": 5_000}, router={"sticky": {"cookie": "mlu"}})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    for _ in range(12):
        async with plane.session.post(f"{envoy.url}/predict", json={}) as answer:
            first = (await answer.json())["model_version"]
            given = answer.cookies["mlu"].value
        again = [await plane.ask(envoy, cookie=f"a=b; mlu={given}; c=d") for _ in range(4)]
        assert again == [first] * 4


async def test_a_preview_host_leads_to_its_version_alone(plane: Plane) -> None:
    strategy = {"blueGreen": {"previewHost": "preview.example.com"}}
    plane.store({"v1": 10_000}, strategy=strategy, decision={"preview": "v2"})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    assert await plane.ask(envoy, host="preview.example.com") == "v2"
    assert await plane.ask(envoy, host="preview.example.com:8080") == "v2"
    assert await plane.ask(envoy, host="fraud.example.com") == "v1"


async def test_a_body_that_is_too_large_is_refused(plane: Plane) -> None:
    plane.store({"v1": 10_000}, router={"maxBody": "100Ki"})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    for size, status in ((90 * 1024, 200), (200 * 1024, 413)):
        async with plane.session.post(f"{envoy.url}/predict", data=b"x" * size) as answer:
            assert answer.status == status


async def test_large_bodies_stream_without_a_limit(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    body = io.BytesIO(b"x" * 20_000_000)
    async with plane.session.post(f"{envoy.url}/predict", data=body) as answer:
        assert (await answer.json())["bytes"] == 20_000_000


async def test_a_stream_arrives_as_it_is_sent(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    loop = asyncio.get_running_loop()
    async with plane.session.get(f"{envoy.url}/stream") as answer:
        times = [loop.time() async for line in answer.content if line.startswith(b"data")]
    assert len(times) == 3
    assert times[2] - times[0] > 0.3


async def test_errors_of_a_version_that_has_crashed_are_counted_at_the_router(
    plane: Plane,
) -> None:
    plane.shelf.ports = {**plane.shelf.ports, "fraud-v2": envoys.free_port()}
    plane.store({"v2": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    assert [await plane.ask(envoy) for _ in range(5)] == ["503"] * 5
    assert counted(await envoy.metrics(plane.session), "v2", "5") == 5


def counted(metrics: str, version: str, kind: str) -> int:
    """Answers of a class, as Prometheus reads them."""
    wanted = (
        f'envoy_response_code_class="{kind}"',
        f'envoy_cluster_name="ml/fraud-{version}/8080"',
    )
    found = [
        line
        for line in metrics.splitlines()
        if line.startswith("envoy_cluster_upstream_rq_xx{") and all(one in line for one in wanted)
    ]
    return int(found[0].split()[-1]) if found else 0


async def test_a_fault_is_met_by_users_and_counted_for_its_version(plane: Plane) -> None:
    """Faults have no field yet: the snapshot is rendered here as drills will have it rendered."""
    plane.shelf.more = {"faults": {"v2": Fault(abort_status=503, aborted=50)}}
    plane.store({"v1": 5_000, "v2": 5_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    found = Counter([await plane.ask(envoy) for _ in range(300)])
    metrics = await envoy.metrics(plane.session)
    assert 30 < found["503"] < 130
    assert counted(metrics, "v2", "5") == found["503"]
    assert counted(metrics, "v2", "2") == found["v2"]
    assert counted(metrics, "v1", "5") == 0


async def test_latency_has_the_bounds_that_thresholds_use(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    for _ in range(5):
        await plane.ask(envoy)
    await asyncio.sleep(1.2)  # histograms are merged once a second
    found = await envoy.metrics(plane.session)
    assert 'envoy_cluster_name="ml/fraud-v1/8080",le="500"} 5' in found


async def test_nothing_of_the_administration_port_is_shown_but_metrics(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    for path in ("/", "/config_dump", "/stats", "/quitquitquit", "/drain_listeners", "/metrics/x"):
        async with plane.session.post(f"http://127.0.0.1:{envoy.stats_port}{path}") as answer:
            assert answer.status == 404, path


async def test_a_client_may_speak_http_2(plane: Plane) -> None:
    """Prior knowledge, as gRPC has it: the connection preface is answered with SETTINGS."""
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    frame = await asyncio.wait_for(reader.readexactly(9), 5)
    writer.close()
    assert frame[3] == 4


def test_names_of_clusters_are_those_that_the_preset_looks_for() -> None:
    stored = envoys.live({"v1": 10_000})
    spec = ModelRolloutSpec.model_validate(stored["spec"])
    assert clusters.name_of("ml", spec.versions[0]) == "ml/fraud-v1/8080"


def test_a_recreated_rollout_is_newer_than_the_one_before() -> None:
    old, new = envoys.live({"v1": 10_000}, sequence=57), envoys.live({"v1": 10_000}, sequence=1)
    new["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    older, newer = snapshot.of(old), snapshot.of(new)
    assert older is not None
    assert newer is not None
    assert older.edition < newer.edition
    assert edition.Edition.parsed(str(newer.edition)) == newer.edition


async def test_an_observer_that_is_away_costs_users_nothing(plane: Plane) -> None:
    tee = Tee("v2", 10_000)
    plane.shelf.more = {"tee": tee, "observer": f"127.0.0.1:{envoys.free_port()}"}
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    found = Counter([await plane.ask(envoy) for _ in range(50)])
    assert found == {"v1": 50}
    assert plane.backends["v2"].requests == 0
    tried = [
        line
        for line in (await envoy.metrics(plane.session)).splitlines()
        if line.startswith('envoy_cluster_upstream_cx_connect_fail{envoy_cluster_name="observer"}')
    ]
    assert int(tried[0].split()[-1]) > 0


async def test_copies_are_drawn_apart_from_versions(plane: Plane) -> None:
    """With one draw for both, every copy would be of the candidate's requests."""
    plane.shelf.more = {"tee": Tee("v3", 1_000), "observer": "127.0.0.1:9"}
    plane.store({"v1": 9_000, "v2": 1_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    found = Counter([await plane.ask(envoy) for _ in range(600)])
    assert 30 < found["v2"] < 95
    assert found["v1"] + found["v2"] == 600


async def test_a_frozen_bootstrap_serves_with_nobody_to_ask(plane: Plane) -> None:
    """What starts after its rollout was deleted."""
    stored = envoys.live({"v1": 10_000}, router={"port": plane.port})
    read = snapshot.understood(stored)
    assert read is not None
    envoy = await plane.envoy(configuration=bootstrap.frozen(read[0]))
    await plane.ready(envoy)
    assert await plane.ask(envoy) == "v1"


async def test_a_tee_comes_and_goes_without_a_failed_request(plane: Plane) -> None:
    """It is a filter of the listener: connections are closed politely, and made anew."""
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    async with plane.users(envoy) as found:
        for number in range(2, 6):
            tee = {"tee": Tee("v2", 1_000), "observer": "127.0.0.1:9"}
            plane.shelf.more = tee if number % 2 == 0 else {}
            plane.store({"v1": 10_000}, sequence=number)
            await followed(plane, envoy, number)
            await asyncio.sleep(0.3)
    assert set(found) == {"v1"}
