"""When a container that ended is started again: the kubelet's rules, as pure functions."""

from enum import StrEnum

_FIRST_DELAY_S = 10.0
_LONGEST_DELAY_S = 300.0
_FORGIVEN_AFTER_S = 600.0


class Policy(StrEnum):
    """A pod's `restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"

    def restarts(self, exit_code: int) -> bool:
        """Whether a container that ended with `exit_code` is started again."""
        match self:
            case Policy.ALWAYS:
                return True
            case Policy.ON_FAILURE:
                return exit_code != 0
            case Policy.NEVER:
                return False


class BackOff:
    """The delay before each restart: 0, 10, 20, ... 300 s; forgiven after ten good minutes."""

    def __init__(self) -> None:
        self._delay_s = 0.0

    def next_delay_s(self, *, ran_for_s: float) -> float:
        """The delay before the next start of a container that has just ended after `ran_for_s`."""
        if ran_for_s >= _FORGIVEN_AFTER_S:
            self._delay_s = 0.0
        delay_s = self._delay_s
        self._delay_s = min(max(2 * delay_s, _FIRST_DELAY_S), _LONGEST_DELAY_S)
        return delay_s
