"""Both versions up and one switch: what must be seen before it, by a Job, a person, or users."""

from typing import Annotated

from pydantic import Field

from modelrollout.api.part import Hostname, Name, Part
from modelrollout.api.scalars import Duration


class SmokeTest(Part):
    """A Job that must succeed before anybody meets the candidate."""

    cron_job: Annotated[
        Name,
        Field(
            description="A suspended CronJob of the rollout's namespace: the template of the Job. "
            "Each container gets MODELROLLOUT_PREVIEW_URL and MODELROLLOUT_SERVICE_URL."
        ),
    ]
    timeout: Annotated[
        Duration, Field(description="Longest time until it must have succeeded. Left out: 10m.")
    ] = 600.0


class Preview(Part):
    """A host of its own under which the candidate is reached while users do not meet it."""

    host: Annotated[Hostname, Field(description="The host that leads to the candidate alone.")]


class BlueGreen(Part):
    """One switch of all traffic, with the old version warm until the bake is over."""

    preview_host: Annotated[
        Hostname | None,
        Field(
            description="A host that leads to the candidate alone until the switch. Left out: none."
        ),
    ] = None
    smoke_test: Annotated[
        SmokeTest | None,
        Field(description="A Job that must succeed before the switch. Left out: none."),
    ] = None
    approval: Annotated[
        bool, Field(description="A person must approve the switch, the preview at hand.")
    ] = False
    overlap: Annotated[
        Duration | None,
        Field(
            description="Both versions share the traffic by halves for this long before the "
            "switch: the only time in which they can be compared. Left out: no comparison, the "
            "bake watches absolute limits and readiness."
        ),
    ] = None
