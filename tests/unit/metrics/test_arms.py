"""Arms: which series are a version's."""

import re

import pytest

from modelrollout.api.spec import Arm
from modelrollout.metrics import arms
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.selectors import Matcher

SEEN = ArmSeen("fraud-v1", 8080, "fraud-v1", {"fraud-v1-b": 2.0, "fraud-v1-a": 1.0})


def matchers(arm: Arm, seen: ArmSeen = SEEN) -> tuple[Matcher, ...]:
    return arms.matchers(arm, namespace="ml", version="v1", seen=seen)


def test_by_default_namespace_and_service() -> None:
    assert matchers(Arm()) == (
        Matcher("namespace", "=", "ml"),
        Matcher("service", "=", "fraud-v1"),
    )


def test_pods_by_their_names() -> None:
    assert matchers(Arm(kind="Pods"))[1] == Matcher("pod", "=~", r"fraud\-v1\-a|fraud\-v1\-b")


def test_a_version_without_pods_has_no_series() -> None:
    pattern = matchers(Arm(kind="Pods"), ArmSeen("fraud-v1", 8080))[1].value
    assert not re.fullmatch(pattern, "")
    assert not re.fullmatch(pattern, "fraud-v1-a")


def test_what_is_put_into_a_pattern_is_quoted() -> None:
    arm = Arm(label="exported_service", pattern=r"{namespace}-{service}-(http-)?{port}@.*")
    seen = ArmSeen("a.b", 80)
    (matcher,) = matchers(arm, seen)
    assert re.fullmatch(matcher.value, "ml-a.b-http-80@kubernetes")
    assert not re.fullmatch(matcher.value, "ml-axb-http-80@kubernetes")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{service}", ""),
        ("{Service}", "the same for all versions"),
        ("{servicename}", "unknown placeholder {servicename}"),
        ("{namespace}-.*", "the same for all versions"),
        ("{service}(", "no regular expression"),
    ],
)
def test_what_is_wrong_with_a_pattern(pattern: str, told: str) -> None:
    trouble = arms.trouble(Arm(label="x", pattern=pattern))
    assert told in trouble
    assert bool(told) == bool(trouble)
