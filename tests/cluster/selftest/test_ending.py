"""How pods end: in order, in time, and with everything they left behind."""

import socket
import time

from tests.cluster.selftest import conftest, puppet


def test_termination_gives_the_process_its_grace_period(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.pod("polite", env=[{"name": "GOODBYE_S", "value": "2"}]))
    namespace.wait_for("condition=Ready", "pod/polite")
    namespace.await_awake("polite")

    started = time.monotonic()
    namespace.kubectl("delete", "pod", "polite")

    assert time.monotonic() - started >= 2
    assert namespace.logs("polite").splitlines() == ["asked to end", "ended in order"]


def test_process_that_ignores_sigterm_is_killed_after_the_grace_period(
    namespace: conftest.Namespace,
) -> None:
    namespace.apply(
        conftest.pod(
            "deaf",
            spec={"terminationGracePeriodSeconds": 2},
            env=[{"name": "GOODBYE_S", "value": "60"}],
        )
    )
    namespace.wait_for("condition=Ready", "pod/deaf")
    namespace.await_awake("deaf")

    started = time.monotonic()
    namespace.kubectl("delete", "pod", "deaf")

    assert 2 <= time.monotonic() - started < 15
    assert namespace.logs("deaf").splitlines() == ["asked to end"]


def test_terminating_pod_leaves_the_endpoints_while_it_still_serves(
    namespace: conftest.Namespace,
) -> None:
    namespace.apply(
        conftest.pod("leaving", lifecycle={"preStop": {"sleep": {"seconds": 5}}}),
        conftest.service("leaving", app="leaving"),
    )
    namespace.wait_for("condition=Ready", "pod/leaving")
    address = namespace.status("leaving")["podIP"]

    namespace.kubectl("delete", "pod", "leaving", "--wait=false")

    path = "jsonpath={.items[0].endpoints[0].conditions}"
    conftest.eventually(
        lambda: '"ready":false' in namespace.kubectl("get", "endpointslices", "-o", path)
    )
    assert conftest.talk(address, "/ready") == "on"


def test_preserved_exit_code_of_a_failed_container(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.script("failing", "import sys; print('so long'); sys.exit(7)"))

    namespace.wait_for("jsonpath={.status.phase}=Failed", "pod/failing")

    assert namespace.container("failing")["state"]["terminated"]["exitCode"] == 7
    assert namespace.logs("failing") == "so long\n"


def test_container_without_a_handler_does_not_hear_sigterm(namespace: conftest.Namespace) -> None:
    # As in a real container: the first process of a pid namespace only gets signals it handles.
    text = "import time; print('up', flush=True); time.sleep(60)"
    namespace.apply(conftest.script("default", text, spec={"terminationGracePeriodSeconds": 2}))
    namespace.wait_for("condition=Ready", "pod/default")

    started = time.monotonic()
    namespace.kubectl("delete", "pod", "default")

    assert time.monotonic() - started >= 2


def test_orphaned_worker_dies_with_its_container(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.pod("parent", spec={"restartPolicy": "Never"}))
    namespace.wait_for("condition=Ready", "pod/parent")
    namespace.tell("parent", "/orphan")
    address = namespace.status("parent")["podIP"]
    assert _listens(address)

    namespace.tell("parent", "/exit/0")

    namespace.wait_for("jsonpath={.status.phase}=Succeeded", "pod/parent")
    assert not _listens(address)


def test_forced_deletion_leaves_nothing(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.pod("gone", env=[{"name": "GOODBYE_S", "value": "60"}]))
    namespace.wait_for("condition=Ready", "pod/gone")
    address = namespace.status("gone")["podIP"]

    namespace.kubectl("delete", "pod", "gone", "--force", "--grace-period=0")

    conftest.eventually(lambda: not _listens(address, port=puppet.PORT), within_s=10)


def _listens(address: str, *, port: int = puppet.ORPHAN_PORT) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
