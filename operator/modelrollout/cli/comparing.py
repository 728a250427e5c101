"""What a file says of its A/B test: who meets what, for how long, and how it is decided."""

from modelrollout.api import scalars
from modelrollout.api.ab_test import AbTest
from modelrollout.api.spec import ModelRolloutSpec, Role


def text(spec: ModelRolloutSpec, test: AbTest) -> str:
    """The test for people, ending in a newline."""
    unit = (
        f"the header {test.unit.header}" if test.unit.header else f"the cookie {test.unit.cookie}"
    )
    rest = scalars.PARTS - sum(arm.weight for arm in test.arms)
    guards = [m.name for m in spec.analysis.metrics if m.role is Role.GUARDRAIL]
    length, chance = scalars.duration(test.duration), spec.analysis.error_rate.false_promotion
    lines = [f"an A/B test of {len(test.arms)} against {spec.target}, for {length}, by {unit}:"]
    lines += [f"  {arm.version}  {scalars.percent(arm.weight)} of the users" for arm in test.arms]
    lines += [
        f"  {spec.target}  {scalars.percent(rest)}, and all requests that name no user",
        f"the goal {test.goal} is judged once, at the end, with users as units",
        f"a false winner has a chance of at most {100 * chance:g} %",
        f"guardrails are judged by request at every look: {', '.join(guards) or 'none'}",
        "which difference can be seen depends on how much users differ: no file tells that",
    ]
    return "\n".join(lines) + "\n"
