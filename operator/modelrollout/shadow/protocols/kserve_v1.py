"""KServe's V1 protocol (TensorFlow Serving's row format): `{"predictions": [...]}`.

The core is fed by fronts.
"""

from dataclasses import dataclass, field

from modelrollout.shadow import answers, jsontext, paths
from modelrollout.shadow.protocols import instances


@dataclass(frozen=True, slots=True)
class KServeV1:
    """`at`: where in each item of `predictions` the value lies."""

    at: paths.Path = field(default_factory=paths.Path)


def read(answer: answers.Answer, protocol: KServeV1, *, most_bytes: int) -> tuple[object, ...]:
    """One value per instance, in the order of the request.

    Raises:
        UnreadableError: any class but `NAN` and those of fronts.
    """
    document = instances.as_object(jsontext.of(answer, most_bytes=most_bytes), what="the answer")
    instances.refuse_error(document)
    return instances.of_list(document.get("predictions"), what="/predictions", at=protocol.at)
