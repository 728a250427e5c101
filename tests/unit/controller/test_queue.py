"""The queue: nothing lost, nothing doubled, one worker per rollout."""

import asyncio

import pytest

from modelrollout.controller.queue import FIRST_PAUSE_S, Queue

ONE, TWO = ("ml", "one"), ("ml", "two")


@pytest.fixture
def queue() -> Queue:
    return Queue(now=lambda: asyncio.get_running_loop().time())


async def test_keys_come_in_order_and_once(queue: Queue) -> None:
    for key in (ONE, TWO, ONE):
        queue.add(key)
    assert [await queue.take(), await queue.take()] == [ONE, TWO]
    assert len(queue) == 0


async def test_a_key_added_while_a_worker_has_it_comes_again_afterwards(queue: Queue) -> None:
    queue.add(ONE)
    await queue.take()
    queue.add(ONE)
    queue.add(ONE)
    assert len(queue) == 0
    queue.done(ONE)
    assert await queue.take() == ONE
    queue.done(ONE)
    assert len(queue) == 0


async def test_take_waits_for_what_a_timer_brings(queue: Queue) -> None:
    taking = asyncio.ensure_future(queue.take())
    queue.wake_at(ONE, asyncio.get_running_loop().time() + 0.02)
    assert await asyncio.wait_for(taking, 5) == ONE
    assert ONE in queue.due


async def test_a_later_instant_replaces_the_earlier_one(queue: Queue) -> None:
    now = asyncio.get_running_loop().time()
    queue.wake_at(ONE, now + 0.01)
    queue.wake_at(ONE, now + 3600)
    queue.wake_at(TWO, now + 0.02)
    assert await asyncio.wait_for(queue.take(), 5) == TWO
    queue.forget(ONE)


async def test_failures_back_off_and_success_forgets_them(queue: Queue) -> None:
    queue.add(ONE)
    pauses = []
    for _ in range(3):
        await queue.take()
        pauses.append(queue.failed(ONE))
        queue.add(ONE)
    assert pauses[0] < pauses[1] < pauses[2]
    await queue.take()
    queue.done(ONE)
    queue.add(ONE)
    await queue.take()
    assert queue.failed(ONE) <= 1.25 * FIRST_PAUSE_S
    queue.forget(ONE)


async def test_what_came_during_a_failure_waits_for_the_pause(queue: Queue) -> None:
    queue.add(ONE)
    await queue.take()
    queue.add(ONE)
    queue.failed(ONE)
    assert len(queue) == 0
    assert await asyncio.wait_for(queue.take(), 5) == ONE
