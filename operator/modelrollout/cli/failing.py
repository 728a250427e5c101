"""What goes wrong at the command line: one sentence and exit status 4, never a traceback."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses; pipelines rely on them."""

    PROMOTED = 0
    ROLLED_BACK = 1
    INCONCLUSIVE = 2
    TIMEOUT = 3
    ERROR = 4


DONE = Exit.PROMOTED
"""The exit status of every other command that did what was asked."""


class Failure(Exception):  # noqa: N818 - it is the answer, not a defect
    """The command cannot do what was asked; its text is the sentence people read."""


class LostError(Failure):
    """The apiserver cannot be reached just now; the same call may succeed a little later."""


class ExpiredError(Failure):
    """A watch is too old to go on from where it was: read the object again."""
