"""A miniature apiserver and the command line on it, in a thread, since a wait blocks."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelrollout.cli import main
from tests.unit.cli import apiserver


@dataclass(slots=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def store() -> apiserver.Store:
    return apiserver.Store()


@pytest.fixture
def port(store: apiserver.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The apiserver, and a KUBECONFIG that names it."""
    with apiserver.serving(store) as found:
        use(tmp_path, monkeypatch, port=found)
        yield found


def use(folder: Path, monkeypatch: pytest.MonkeyPatch, *, port: int) -> None:
    from kubernetes.config import kube_config

    path = apiserver.kubeconfig(folder, port=port)
    # The client reads KUBECONFIG when it is imported, once.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command to its end; `meanwhile` runs beside it."""

    def call(*arguments: str, meanwhile: Callable[[], None] | None = None) -> Answer:
        beside = threading.Thread(target=meanwhile) if meanwhile else None
        if beside:
            beside.start()
        code = main.main(arguments)
        if beside:
            beside.join()
        seen = capsys.readouterr()
        return Answer(code, seen.out, seen.err)

    return call
