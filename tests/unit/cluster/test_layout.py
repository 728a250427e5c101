"""Where a checkout may lie for the local cluster to run what is in it."""

from pathlib import Path

import pytest

from tests.cluster import layout


@pytest.mark.parametrize("folder", ["/tmp/clone", "/run/user/1000/clone", "/dev/shm/x"])
def test_a_checkout_that_pods_would_not_see_is_told(folder: str) -> None:
    told = layout.hidden(checkout=Path(folder), environment=Path("/home/anna/venv"))
    assert folder in told
    assert "move it elsewhere" in told


def test_an_environment_that_pods_would_not_see_is_told() -> None:
    told = layout.hidden(checkout=Path("/home/anna/clone"), environment=Path("/tmp/venv"))
    assert "Python environment" in told


def test_a_home_folder_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/anna/.cache")
    assert not layout.hidden(checkout=Path("/home/anna/tmp"), environment=Path("/home/anna/venv"))
