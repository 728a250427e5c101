"""A cluster that is there already is used on purpose, never by accident."""

import sys
from pathlib import Path

import pytest

from tests.cluster import foreign
from tests.cluster.handle import DESCRIPTION, Cluster

GIVEN = {
    "KUBECONFIG": "/some/kubeconfig",
    foreign.PROMETHEUS: "http://prometheus:9090",
    foreign.GATEWAY: "http://gateway:80",
}


def test_without_kubeconfig_there_is_none() -> None:
    assert foreign.named({}) is None


def test_inside_a_cluster_of_ours_there_is_none() -> None:
    assert foreign.named({**GIVEN, DESCRIPTION: "cluster.json"}) is None


def test_kubeconfig_alone_is_refused_with_what_to_set() -> None:
    with pytest.raises(foreign.ForeignClusterError, match=foreign.GATEWAY):
        foreign.named({"KUBECONFIG": "/some/kubeconfig"})


def test_the_command_finds_the_cluster_and_its_status_is_given(tmp_path: Path) -> None:
    cluster = foreign.named(GIVEN)
    assert cluster is not None
    seen = tmp_path / "seen"
    code = (
        "import os, pathlib, sys; from tests.cluster.handle import Cluster; "
        f"pathlib.Path({str(seen)!r}).write_text(Cluster.from_environment().to_json()); sys.exit(3)"
    )
    assert foreign.run(cluster, [sys.executable, "-c", code]) == 3
    assert Cluster.from_json(seen.read_text()) == cluster
