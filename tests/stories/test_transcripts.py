"""Whole rollouts as readable transcripts: what happened when, in the words that users see.

`UPDATE_TRANSCRIPTS=1` writes the files anew; read the difference before committing it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stories.world import World, at_rest, spec

FOLDER = Path(__file__).parent / "transcripts"


def healthy() -> World:
    world = at_rest()
    world.edit(target="v2")
    return world.phase("Baking").phase("Serving").settle()


def harmful() -> World:
    world = at_rest()
    world.versions["v2"].rates["errors"] = 0.02
    world.edit(target="v2")
    return world.phase("RolledBack")


def no_errors_at_all() -> World:
    world = at_rest(rps=10)
    for version in world.versions.values():
        version.rates["errors"] = 0.0
    world.edit(target="v2")
    return world.phase("Baking").phase("Serving").settle()


def hardly_any_traffic() -> World:
    world = at_rest(spec(deadline="1h"), rps=0.05)
    world.edit(target="v2")
    return world.run(3600.0).phase("Undecided")


def approved_by_a_person() -> World:
    strategy = {"steps": [{"weight": 5, "minDuration": "2m"}, {"pause": {}}, {"weight": 50}]}
    world = at_rest(spec(strategy=strategy))
    world.edit(target="v2")
    world.phase("Waiting").run(600)
    world.say("approve", "id-1 step=2 revision=r1")
    return world.phase("Baking").phase("Serving").settle()


STORIES = (healthy, harmful, no_errors_at_all, hardly_any_traffic, approved_by_a_person)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_transcript(story: Callable[[], World]) -> None:
    world = story()
    text = "\n".join([*world.transcript, "", world.status.message, ""])
    file = FOLDER / f"{story.__name__}.txt"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
