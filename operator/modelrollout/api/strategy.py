"""How the candidate is let in: each strategy is sugar for a list of steps."""

from typing import Annotated

from pydantic import AfterValidator, Field

from modelrollout.api.ab_test import AbTest
from modelrollout.api.blue_green import BlueGreen, Preview, SmokeTest
from modelrollout.api.part import Part
from modelrollout.api.scalars import Duration, Percent, Weight
from modelrollout.api.shadow import Shadow, Shadowing


def _budget(share: float) -> float:
    if not 0 < share <= 1:
        raise ValueError(f'expected a share above 0% and at most 100%, such as "0.1%", saw {share}')
    return share


class Ramp(Part):
    """The evidence chooses the speed: fast with much traffic, slow with little."""

    risk_budget: Annotated[
        Percent,
        AfterValidator(_budget),
        Field(
            description='Share of all requests, such as "0.1%", that the candidate may harm: the '
            "next weight is taken once that weight, times the largest worsening that the evidence "
            "still allows, is at most this."
        ),
    ]


class Canary(Part):
    """A growing share of users, step by step."""

    weights: Annotated[
        list[Weight],
        Field(
            max_length=20,
            description="Shares of the candidate, ascending, below 100. Left out: chosen from the "
            "traffic seen.",
        ),
    ] = Field(default_factory=list)
    min_duration: Annotated[
        Duration | None,
        Field(
            description="Shortest time at a step, once its split is confirmed. Left out: 5m, or "
            "with a ramp one look."
        ),
    ] = None
    ramp: Annotated[
        Ramp | None,
        Field(description="Lets the evidence choose the speed. Left out: minDuration does."),
    ] = None


class Pause(Part):
    """A wait between steps: for a person, for a time, or for both."""

    duration: Annotated[Duration | None, Field(description="Shortest length of the pause.")] = None
    approval: Annotated[
        bool | None,
        Field(description="A person must approve. Left out: yes, unless a duration is set."),
    ] = None


class Step(Part):
    """One entry of the plan: exactly one of weight, pause, preview, check and shadow."""

    weight: Annotated[
        Weight | None,
        Field(description='The candidate\'s share in percent: 25 or "0.1%". 100 is a switch.'),
    ] = None
    min_duration: Annotated[
        Duration | None,
        Field(description="Shortest time at this weight, once confirmed. Left out: 5m."),
    ] = None
    pause: Pause | None = None
    preview: Annotated[
        Preview | None, Field(description="From here to the switch, a host of the candidate's own.")
    ] = None
    check: Annotated[
        SmokeTest | None, Field(description="A Job that must succeed before the next step.")
    ] = None
    shadow: Annotated[
        Shadowing | None,
        Field(description="Copies of requests go to the candidate, and answers are compared."),
    ] = None


class Strategy(Part):
    """How the target gets to serve: exactly one of these."""

    canary: Canary | None = None
    blue_green: Annotated[
        BlueGreen | None, Field(description="Both versions up, and one switch of all traffic.")
    ] = None
    ab_test: Annotated[
        AbTest | None, Field(description="Versions compared by user, beside the target.")
    ] = None
    shadow: Annotated[
        Shadow | None,
        Field(description="A version that gets copies of requests, beside the target: a report."),
    ] = None
    steps: Annotated[
        list[Step] | None,
        Field(
            min_length=1,
            max_length=30,
            description="The plan written out: weights, ascending, and pauses between them.",
        ),
    ] = None

    @property
    def preview_host(self) -> str:
        """The host that leads to the candidate alone before the switch; "" for none."""
        if self.blue_green is not None:
            return self.blue_green.preview_host or ""
        hosts = [step.preview.host for step in self.steps or () if step.preview is not None]
        return hosts[0] if hosts else ""

    @property
    def has_shadow(self) -> bool:
        """Whether copies of requests are asked for."""
        return self.shadow is not None or any(step.shadow for step in self.steps or ())

    @property
    def checks(self) -> tuple[SmokeTest, ...]:
        """Every smoke test of the plan, in order."""
        if self.blue_green is not None:
            return (self.blue_green.smoke_test,) if self.blue_green.smoke_test else ()
        return tuple(step.check for step in self.steps or () if step.check is not None)
