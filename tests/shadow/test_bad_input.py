"""What models and callers can do to the observer: each has its class, nothing ends it."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.cluster import layout
from tests.shadow import models, observer
from tests.shadow.conftest import Send, Start

GOOD = json.dumps(models.document(1)).encode()
QUICK = {"total": "500ms"}


BAD: dict[str, tuple[models.Handler, str]] = {
    "other-shape": (models.saying(1, 0), "schema_mismatch"),
    "other-type": (models.sending(b'{"outputs": {"label": 1}}'), "schema_mismatch"),
    "not-json": (
        models.sending(b"<html>oops</html>", Content_Type="text/html"),
        "candidate_unparseable",
    ),
    "empty": (models.sending(b""), "candidate_unparseable"),
    "invalid-utf8": (models.sending(b'{"outputs": "\xff\xfe"}'), "candidate_invalid_utf8"),
    "half-a-character": (models.sending(b'{"outputs": "\\ud800"}'), "candidate_invalid_utf8"),
    "deep": (models.sending(b"[" * 100_000), "candidate_unparseable"),
    "many-digits": (models.sending(b"9" * 10_000), "candidate_unparseable"),
    "error-status": (models.sending(b'{"error": "boom"}', status=500), "candidate_error"),
    "error-in-200": (models.sending(b'{"error": "boom"}'), "candidate_error"),
    "redirect": (
        models.sending(b"", status=302, Location="http://169.254.169.254/"),
        "candidate_error",
    ),
    "50-mb": (models.sending(b" " * 50_000_000), "candidate_too_large"),
    "flood": (models.flooding, "candidate_too_large"),
    "gzip-bomb": (
        models.sending(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"),
        "candidate_too_large",
    ),
    "broken-gzip": (
        models.sending(b"\x1f\x8bxx", Content_Encoding="gzip"),
        "candidate_wrong_encoding",
    ),
    "brotli": (models.sending(b"xx", Content_Encoding="br"), "candidate_wrong_encoding"),
    "hangs": (models.hanging, "candidate_timeout"),
    "endless": (models.endless, "candidate_timeout"),
    "breaks": (models.breaking, "candidate_error"),
}


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_candidate_has_its_class(
    start: Start, send: Send, candidate: models.Model, bad: str
) -> None:
    candidate.answer, expected = BAD[bad]
    # Only where waiting is the point: on a busy machine stable, too, may take half a second.
    running = await start(**({"timeouts": QUICK} if expected == "candidate_timeout" else {}))
    await send(running, "bad")
    assert (await running.settled(1)).outcomes() == {expected: 1}
    candidate.answer = models.saying(1)
    await send(running, "good")
    assert (await running.settled(2)).outcomes() == {expected: 1, "both_ok": 1}
    assert running.memory_mib() < 150


@pytest.mark.parametrize("encoded", ["gzip"])
async def test_gzip_is_read_as_what_it_holds(
    start: Start, send: Send, candidate: models.Model, stable: models.Model, encoded: str
) -> None:
    packed = models.sending(gzip.compress(GOOD), Content_Encoding=encoded)
    stable.answer = candidate.answer = packed
    running = await start()
    await send(running, "packed")
    counts = await running.settled(1)
    assert counts.of("comparisons_total", verdict="match") == 1


async def test_nan_is_a_class_and_on_both_sides_a_match(
    start: Start, send: Send, candidate: models.Model, stable: models.Model
) -> None:
    nan = models.sending(
        b'{"outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    )
    running = await start(task={"regression": {}})
    candidate.answer = nan
    await send(running, "one")
    await running.settled(1)
    stable.answer = nan
    await send(running, "both")
    counts = await running.settled(2)
    assert counts.outcomes() == {"candidate_nan": 1, "both_nan": 1}
    assert counts.of("comparisons_total", verdict="match") == 1


async def test_a_wrong_path_or_task_says_that_the_declaration_is_wrong(
    start: Start, send: Send, stable: models.Model, candidate: models.Model
) -> None:
    stable.answer = candidate.answer = models.sending(b'{"result": {"score": "high"}}')
    wrong: dict[str, observer.Json] = {
        "path": {"protocol": {"plain": {"each": "/result", "at": "/scores"}}},
        "task": {"protocol": {"plain": {"at": "/result/score"}}, "task": {"regression": {}}},
        "protocol": {"protocol": {"kserveV1": {}}},
    }
    for replaced in wrong.values():
        running = await start(**replaced)
        await send(running, "r")
        assert (await running.settled(1)).outcomes() == {"primary_unreadable": 1}


async def test_a_failing_stable_is_not_the_candidates_fault(
    start: Start, send: Send, stable: models.Model, candidate: models.Model
) -> None:
    running = await start(timeouts=QUICK)
    stable.answer = models.hanging
    await send(running, "one")
    await running.settled(1)
    candidate.answer = models.sending(b"", status=503)
    await send(running, "both")
    assert (await running.settled(2)).outcomes() == {"primary_error": 1, "both_error": 1}


async def test_late_answers_are_not_compared(
    start: Start, send: Send, candidate: models.Model
) -> None:
    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return await models.saying(0)(request, body)

    candidate.answer = slow
    running = await start(timeouts={"total": "5s", "late": "100ms"})
    await send(running, "r")
    counts = await running.settled(1)
    assert counts.outcomes() == {"candidate_late": 1}
    assert counts.of("duration_seconds_count", side="candidate") == 1


async def test_50_mb_requests_are_refused_without_being_held(start: Start) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(800):
            yield b" " * 65_536

    running = await start()
    for headers in ({"Content-Length": f"{800 * 65_536}"}, {}):  # the second is chunked
        named = headers | {"Content-Type": "application/json", "X-Request-Id": str(headers)}
        # It may close while the rest is still being sent.
        with contextlib.suppress(aiohttp.ClientError):
            async with running.session.post(
                running.url(path=models.PATH), data=pieces(), headers=named
            ) as answer:
                assert answer.status == 204
    counts = await running.settled(2)
    assert counts.outcomes() == {"too_large": 2}
    assert running.memory_mib() < 150


async def test_a_copy_that_breaks_off_is_counted(start: Start) -> None:
    running = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.ports["mirror"])
    head = f"POST {models.PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}X-Request-Id: r\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    await running.seen(1)
    writer.close()
    assert (await running.settled(1)).outcomes() == {"cut_off": 1}
    assert reader is not None


async def test_the_same_id_many_times_counts_once(start: Start, send: Send) -> None:
    running = await start()
    await send(running, *["same"] * 50)
    assert (await running.settled(50)).outcomes() == {"both_ok": 1, "duplicate": 49}


async def test_models_that_are_not_there_are_errors(start: Start, send: Send) -> None:
    nobody = "http://127.0.0.1:1"
    running = await start(models={"candidate": nobody, "stable": nobody})
    await send(running, "r")
    assert (await running.settled(1)).outcomes() == {"both_error": 1}


def said(
    *,
    models: str = "{candidate: 'http://x'}",
    fronts: str = "{extProc: 0}",
    protocol: str = "{openAI: {}}",
    task: str = "{text: {}}",
) -> str:
    """A configuration that is complete, but for what is replaced."""
    return f"{{models: {models}, fronts: {fronts}, protocol: {protocol}, task: {task}}}"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("models: [", "while parsing"),
        ("{}", "models: Field required"),
        (said(models="{candidate: 'ftp://x'}"), "models.candidate: String should match"),
        (said(fronts="{mirror: 0}"), "expected models.stable"),
        (said(task="{text: {}, ranking: {}}"), "expected exactly one of classification"),
        (said(protocol="{plain: {at: /a~}}"), "found a bare ~"),
    ],
    ids=["yaml", "empty", "url", "mirror-without-stable", "two-tasks", "path"],
)
async def test_a_bad_configuration_is_told_in_a_sentence(
    tmp_path: Path, config: str, told: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(observer.python(), "-m", "modelrollout.shadow.serving", "--config", file),
        env={"PYTHONPATH": str(layout.CHECKOUT / "operator")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, printed = await process.communicate()
    assert process.returncode == 2
    assert told in printed.decode()
    assert "Traceback" not in printed.decode()
