"""Any JSON, with the path at which the prediction lies: for servers of a team's own.

The core is fed by fronts.
"""

from dataclasses import dataclass, field

from modelrollout.shadow import answers, jsontext, paths
from modelrollout.shadow.protocols import instances


@dataclass(frozen=True, slots=True)
class Plain:
    """Two places.

    Attributes:
        each: where the instances lie: one, or several by a plural path.
        at: where in each instance the value lies.
    """

    each: paths.Path = field(default_factory=paths.Path)
    at: paths.Path = field(default_factory=paths.Path)


def read(answer: answers.Answer, protocol: Plain, *, most_bytes: int) -> tuple[object, ...]:
    """One value per instance, in the answer's order.

    A filled `error` beside the declared place is an error answer only where that place is empty.

    Raises:
        UnreadableError: any class but `NAN` and those of fronts.
    """
    document = jsontext.of(answer, most_bytes=most_bytes)
    if (
        protocol.each.steps
        and isinstance(document, dict)
        and protocol.each.steps[0] not in document
    ):
        instances.refuse_error(document)
    each = instances.bounded(paths.found(document, protocol.each), what=f"{protocol.each}")
    return tuple(instances.one(value, at=protocol.at) for value in each)
