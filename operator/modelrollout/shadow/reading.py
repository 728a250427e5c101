"""From an answer to typed predictions: protocol and task meet here, and nothing is raised.

The core is fed by fronts: this is their first door, `settling` the second.
"""

from modelrollout.shadow import answers, comparison, trouble
from modelrollout.shadow.protocols import reading

Predictions = tuple[comparison.PredictionT | trouble.Problem, ...]
"""One per instance, at least one; an instance alone can be in trouble."""
Read = Predictions[comparison.PredictionT] | trouble.Problem
"""What one side said, or why it said nothing that can be compared."""


def predictions(
    answer: answers.Answer,
    *,
    protocol: reading.Protocol,
    task: comparison.Task[comparison.PredictionT],
    most_bytes: int = reading.MOST_BYTES,
) -> Read[comparison.PredictionT]:
    """All predictions of one answer in the order of its instances.

    Args:
        answer: complete, as it came.
        protocol: how it is spoken.
        task: what is read from each instance.
        most_bytes: of the body, packed or not.
    """
    instances = reading.instances_of(answer, protocol, most_bytes=most_bytes)
    if isinstance(instances, trouble.Problem):
        return instances
    read: list[comparison.PredictionT | trouble.Problem] = []
    for instance in instances:
        try:
            read.append(task.read(instance))
        except trouble.UnreadableError as unreadable:
            read.append(unreadable.problem)
    return tuple(read)
