"""The published hash: vectors of others and of our own, even buckets, independent draws."""

from typing import Any

import numpy as np
import pytest
import xxhash
from scipy import special

from modelrollout.assignment import hashing
from tests.unit.assignment import vectors


@pytest.mark.parametrize("vector", vectors.of("hashes", "text"))
def test_the_hash_is_the_one_that_envoy_publishes(vector: dict[str, Any]) -> None:
    assert xxhash.xxh64_intdigest(vector["text"].encode()) == vector["xxh64"]


@pytest.mark.parametrize("vector", vectors.of("v1", "unit"))
def test_v1_gives_the_published_bucket_and_label(vector: dict[str, Any]) -> None:
    assert hashing.bucket(vector["unit"], salt=vector["salt"]) == vector["bucket"]
    assert hashing.label(vector["unit"]) == vector["label"]


def test_bytes_of_a_header_that_are_no_utf_8_are_hashed_as_they_came() -> None:
    arrived = b"\xff\xfeuser".decode("utf-8", "surrogateescape")

    expected = xxhash.xxh64_intdigest(b"ml/fraud/v2:\xff\xfeuser") % 10_000
    assert hashing.bucket(arrived, salt="ml/fraud/v2") == expected


def test_buckets_are_filled_evenly() -> None:
    users = 200_000
    buckets = [hashing.bucket(f"user-{n}", salt="ml/fraud/v2") // 100 for n in range(users)]
    counts = np.bincount(buckets, minlength=100)

    statistic = float(((counts - users / 100) ** 2 / (users / 100)).sum())
    assert special.chdtrc(99, statistic) > 1e-4


def test_two_salts_draw_independently_and_so_does_the_label() -> None:
    users = [f"user-{n}" for n in range(20_000)]
    first = {user for user in users if hashing.bucket(user, salt="ml/fraud/v2") < 1000}
    second = {user for user in users if hashing.bucket(user, salt="ml/fraud/v3") < 1000}
    sliced = {user for user in users if int(hashing.label(user)) < 10}

    # A tenth of a tenth of 20,000 is 200, give or take 14.
    assert abs(len(first & second) - 200) < 60
    assert abs(len(first & sliced) - 200) < 60
