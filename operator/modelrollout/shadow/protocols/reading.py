"""One door for all protocols: an answer in, its instances or its trouble out; nothing is raised.

The core is fed by fronts.
"""

from typing import assert_never

from modelrollout.shadow import answers, trouble
from modelrollout.shadow.protocols import kserve_v1, open_inference, openai, plain

Protocol = kserve_v1.KServeV1 | open_inference.OpenInference | openai.OpenAI | plain.Plain

MOST_BYTES = 8 * 1024 * 1024
"""Of one answer, packed or not, unless a front says otherwise."""


def instances_of(
    answer: answers.Answer, protocol: Protocol, *, most_bytes: int = MOST_BYTES
) -> tuple[object, ...] | trouble.Problem:
    """The values of all instances, at least one, or the class of what is wrong with the answer."""
    try:
        match protocol:
            case kserve_v1.KServeV1():
                return kserve_v1.read(answer, protocol, most_bytes=most_bytes)
            case open_inference.OpenInference():
                return open_inference.read(answer, protocol, most_bytes=most_bytes)
            case openai.OpenAI():
                return openai.read(answer, most_bytes=most_bytes)
            case plain.Plain():
                return plain.read(answer, protocol, most_bytes=most_bytes)
            case _:
                assert_never(protocol)
    except trouble.UnreadableError as unreadable:
        return unreadable.problem
