"""An A/B test: several versions at once, each for users of its own, judged against the target."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelrollout.api.part import Name, Part
from modelrollout.api.scalars import Duration, Weight

HeaderName = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]*$", min_length=1, max_length=64)
]


class Unit(Part):
    """What tells one user from another: exactly one of `header` and `cookie`."""

    header: Annotated[
        HeaderName | None, Field(description="A request header with the user's id.")
    ] = None
    cookie: Annotated[
        str | None,
        Field(
            pattern=r"^[a-zA-Z0-9_-]+$", max_length=64, description="A cookie with the user's id."
        ),
    ] = None


class AbArm(Part):
    """One version under test, and its share of the users."""

    version: Annotated[Name, Field(description="One of the versions, not the target.")]
    weight: Annotated[Weight, Field(description='Its share of the users in percent: 25 or "0.1%".')]


class Overrides(Part):
    """How a tester asks for a version by hand."""

    header: Annotated[
        HeaderName,
        Field(
            description="A request with this header gets the version that it names. Whatever "
            "stands before the router must take the header away from strangers."
        ),
    ]


class OnWinner(StrEnum):
    """What follows from a winner."""

    REPORT = "Report"
    PROMOTE = "Promote"


class AbTest(Part):
    """Users are assigned, not requests; the target stays stable, and takes all who are in no arm.

    A user stays with a version as long as its weight does not shrink. Raising a weight moves nobody
    but those who join.
    """

    unit: Unit
    arms: Annotated[
        list[AbArm], Field(min_length=1, max_length=4, description="The versions under test.")
    ]
    duration: Annotated[
        Duration, Field(description="How long users are observed; whole weeks see every weekday.")
    ]
    goal: Annotated[
        Name,
        Field(description="The metric, of role goal and with `buckets`, that tells the winner."),
    ]
    on_winner: Annotated[
        OnWinner,
        Field(
            description="Report (default): say who won. Promote: let the winner serve; the target "
            "in Git has to follow."
        ),
    ] = OnWinner.REPORT
    salt: Annotated[
        str | None,
        Field(
            min_length=1,
            pattern=r"^[-a-zA-Z0-9._/]*$",
            max_length=128,
            description="Draws users anew when it changes. Left out: namespace/name/target.",
        ),
    ] = None
    overrides: Annotated[
        Overrides | None, Field(description="Lets testers choose a version by a header.")
    ] = None
