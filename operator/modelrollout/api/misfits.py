"""What does not fit the types, in words: pydantic's errors without its links and inputs."""

from collections.abc import Sequence

from pydantic import ValidationError


def told(problem: ValidationError, *, at: Sequence[str] = ()) -> list[str]:
    """One `where: what` per error.

    Args:
        problem: of a validation.
        at: names that lead to what was validated, such as `spec`.
    """
    return [
        f"{'.'.join(str(part) for part in (*at, *error['loc']))}: {error['msg']}"
        for error in problem.errors(include_url=False, include_input=False)
    ]
