"""What is shadowed, with which headers, and what of it may be shown."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.shadow import (
    comparison,
    eligibility,
    examples,
    forwarding,
    paths,
    redacting,
    sampling,
)

ALL = sampling.Sampling(salt="fraud", millionths=sampling.WHOLE)
RULES = eligibility.Rules(sampling=ALL)
Eligibility = eligibility.Eligibility


def request(
    path: str = "/v2/models/m/infer", changed: dict[str, object] | None = None
) -> eligibility.Request:
    fields: dict[str, object] = {
        "method": "POST",
        "content_type": "application/json",
        "size": 10,
        "unit": "id-1",
        **(changed or {}),
    }
    return eligibility.Request(path=path, **fields)  # type: ignore[arg-type]


# Eligibility


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/m/infer", "/v2/models/m/versions/1/infer", "/v1/models/m:predict",
        "/v1/chat/completions", "/v1/completions?x=1",
    ],
)  # fmt: skip
def test_inference_paths_are_safe(path: str) -> None:
    assert RULES.judge(request(path)) is Eligibility.ELIGIBLE


@pytest.mark.parametrize(
    "path",
    [
        "/orders", "/v2/models/m/infer/extra", "/v2/models/m/load", "/v2/repository/index",
        "/v2/models//infer", "/v2/models/../infer", "/v2/models/a%2fb/infer",
        "/v2/models/%2E/infer",
        "/v2/models/a\\b/infer", "v2/models/m/infer", "", "/v1/models/m:explain",
        "/V2/models/m/infer", "/v2/models/..;/infer", "/v2/models/a%252fb/infer",
        "/v2/models/a;x/infer", "/v2/models/m/infer\n",
    ],
)  # fmt: skip
def test_every_other_post_is_not(path: str) -> None:
    assert RULES.judge(request(path)) is Eligibility.METHOD_NOT_SAFE


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"method": "PUT", "content_type": "x"}, Eligibility.METHOD_NOT_SAFE),
        ({"content_type": "text/html", "size": 10**9}, Eligibility.CONTENT_TYPE),
        ({"content_type": "Application/JSON; charset=utf-8"}, Eligibility.ELIGIBLE),
        ({"size": 1024 * 1024 + 1, "shadow_header": "off"}, Eligibility.TOO_LARGE),
        ({"size": 1024 * 1024}, Eligibility.ELIGIBLE),
        ({"size": None}, Eligibility.ELIGIBLE),
        ({"shadow_header": "off", "unit": ""}, Eligibility.OPTED_OUT),
        ({"shadow_header": "candidate"}, Eligibility.OPTED_OUT),
        ({"unit": ""}, Eligibility.NO_ID),
    ],
)
def test_the_first_reason_wins(changed: dict[str, object], expected: Eligibility) -> None:
    assert RULES.judge(request(changed=changed)) is expected


def test_what_is_not_sampled_is_not_shadowed_unless_its_slice_is_short() -> None:
    none = sampling.Sampling(salt="s", millionths=0, least_per_hour=5)
    rules = eligibility.Rules(sampling=none)
    assert rules.judge(request(), in_slice_this_hour=4) is Eligibility.ELIGIBLE
    assert rules.judge(request(), in_slice_this_hour=5) is Eligibility.NOT_SAMPLED
    assert none.takes("id-1", in_slice_this_hour=4) is sampling.Taken.FLOOR


def test_rules_that_cannot_work_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="begin each with a slash"):
        eligibility.Rules(sampling=ALL, paths=("predict",))


# Sampling


def test_the_draw_is_the_published_one() -> None:
    digest = hashlib.sha256(b"v1\x00fraud\x00id-1").digest()
    assert sampling.draw("fraud", "id-1") == int.from_bytes(digest[:8], "big")


@given(st.text(), st.integers(0, sampling.WHOLE), st.integers(0, sampling.WHOLE))
def test_a_higher_share_keeps_all_that_a_lower_one_took(unit: str, a: int, b: int) -> None:
    low, high = sorted((a, b))
    if sampling.within("s", unit, millionths=low):
        assert sampling.within("s", unit, millionths=high)
    assert not sampling.within("s", unit, millionths=0)
    assert sampling.within("s", unit, millionths=sampling.WHOLE)


def test_shares_are_kept_and_the_control_is_independent_of_the_sample() -> None:
    tenth = sampling.Sampling(salt="s", millionths=100_000, control_millionths=100_000)
    units = [f"id-{number}" for number in range(20_000)]
    taken = [unit for unit in units if tenth.takes(unit) is sampling.Taken.SHARE]
    controlled = [unit for unit in taken if tenth.takes_control(unit)]
    # Three standard errors: 127 of 20,000, and 40 of about 2,000.
    assert abs(len(taken) - 2_000) < 128
    assert abs(len(controlled) - len(taken) / 10) < 41


@pytest.mark.parametrize("share", [-1, sampling.WHOLE + 1])
def test_shares_outside_of_the_whole_are_refused(share: int) -> None:
    with pytest.raises(ValueError, match="millionths"):
        sampling.Sampling(salt="s", millionths=share)


# Headers


def test_credentials_and_hops_stay_behind_and_ids_go_along() -> None:
    received = [
        ("Host", "api"), ("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-Api-Key", "k"),
        ("X-Auth-Token", "t"), ("Connection", "close, X-Hop"), ("X-Hop", "1"), ("TE", "trailers"),
        ("Content-Length", "3"), (":path", "/"), ("X-Model-Shadow", "spoofed"),
        ("X-Request-Id", "r1"),
        ("Accept-Encoding", "br"), ("Traceparent", "00-1"), ("Content-Type", "application/json"),
    ]  # fmt: skip
    assert forwarding.headers(received, role=forwarding.Role.CONTROL) == [
        ("x-request-id", "r1"),
        ("traceparent", "00-1"),
        ("content-type", "application/json"),
        ("accept-encoding", "gzip"),
        ("x-model-shadow", "control"),
    ]


def test_a_credential_goes_along_where_it_is_allowed_by_name() -> None:
    received = [("Authorization", "Bearer x"), ("X-Feature-Token", "t")]
    kept = forwarding.headers(
        received, role=forwarding.Role.CANDIDATE, allowed=frozenset({"x-feature-token"})
    )
    assert kept == [
        ("x-feature-token", "t"),
        ("accept-encoding", "gzip"),
        ("x-model-shadow", "candidate"),
    ]


# Redaction


def test_only_declared_fields_are_shown_and_texts_as_lengths() -> None:
    value = {"label": "cat", "score": 0.9, "name": "Ada", "rows": [{"x": True}, {"x": False}]}
    redaction = redacting.Redaction(fields=tuple(map(paths.Path.of, ("/label", "/score", "/rows"))))
    assert redacting.redacted(value, redaction) == {
        "/label": "<string of 3>",
        "/score": "0.9",
        "/rows/[]/x": "true",
        "/*": "<string>",
    }
    kept = redacting.redacted(value, redacting.Redaction(redaction.fields, keep_text=True))
    assert kept["/label"] == "cat"


@given(
    st.recursive(
        st.text(min_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=3), inner),
    )
)
def test_nothing_undeclared_is_shown(value: object) -> None:
    shown = redacting.redacted(value, redacting.Redaction())
    assert len(shown) <= redacting.MOST_SHOWN
    assert set("".join(shown)) <= {"/", "*"}
    assert set(shown.values()) <= {"<string>", "<array>", "<object>"}


def test_a_fingerprint_needs_its_key() -> None:
    key = b"k" * 16
    expected = hmac.new(key, b"body", hashlib.sha256).hexdigest()
    assert redacting.fingerprint(b"body", key=key) == expected
    with pytest.raises(ValueError, match="16 bytes"):
        redacting.fingerprint(b"body", key=b"short")


# Examples


def example(number: int, *, kind: str = "value", at_s: float = 0.0) -> examples.Example:
    return examples.Example(
        request=f"r{number}",
        at_s=at_s,
        slice_name="all",
        kind=kind,
        differences=(comparison.Difference("label", kind),),
        primary={},
        candidate={},
    )


def test_the_newest_of_each_kind_are_kept() -> None:
    ring = examples.Ring(most=2)
    for number in range(5):
        ring.add(example(number, at_s=number))
    ring.add(example(9, kind="type", at_s=1.5))
    assert [each.request for each in ring.fresh(5.0)] == ["r4", "r3", "r9"]
    assert ring.left_out == 3


def test_examples_are_forgotten_after_a_while_and_clock_jumps_do_no_harm() -> None:
    ring = examples.Ring(keep_s=10.0)
    ring.add(example(1, at_s=0.0))
    ring.add(example(2, at_s=50.0))
    assert [each.request for each in ring.fresh(12.0)] == ["r2"]
    assert ring.fresh(100.0) == []
    assert ring.fresh(12.0) == []


def test_the_ring_is_bounded_in_kinds_too() -> None:
    ring = examples.Ring(most=1, most_places=3)
    for number in range(10):
        ring.add(example(number, kind=f"kind-{number}"))
    assert len(ring.fresh(0.0)) == 3
    assert ring.left_out == 7
