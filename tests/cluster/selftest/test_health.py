"""What probes and crashes do: readiness, endpoints, restarts and their delays."""

from datetime import datetime

from tests.cluster.selftest import conftest

_READY = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
_RESTARTS = "jsonpath={.status.containerStatuses[0].restartCount}"
_ENDPOINT_READY = "jsonpath={.items[0].endpoints[0].conditions.ready}"


def _endpoint_is(space: conftest.Namespace, ready: str) -> bool:
    shown = space.kubectl("get", "endpointslices", "-o", _ENDPOINT_READY)
    return shown == ready


def test_pod_is_ready_only_after_its_probe_passes(namespace: conftest.Namespace) -> None:
    namespace.apply(
        conftest.pod(
            "slow",
            readinessProbe=conftest.http_probe("/ready"),
            env=[{"name": "READY", "value": "off"}],
        ),
        conftest.service("slow", app="slow"),
    )
    namespace.wait_for("jsonpath={.status.phase}=Running", "pod/slow")
    conftest.eventually(lambda: _endpoint_is(namespace, "false"))
    assert not namespace.container("slow")["ready"]

    namespace.tell("slow", "/ready/on")

    namespace.wait_for("condition=Ready", "pod/slow")
    conftest.eventually(lambda: _endpoint_is(namespace, "true"))


def test_failing_readiness_takes_the_endpoint_away_and_restarts_nothing(
    namespace: conftest.Namespace,
) -> None:
    namespace.apply(
        conftest.pod("fickle", readinessProbe=conftest.http_probe("/ready")),
        conftest.service("fickle", app="fickle"),
    )
    namespace.wait_for("condition=Ready", "pod/fickle")

    namespace.tell("fickle", "/ready/off")

    namespace.wait_for(f"{_READY}=False", "pod/fickle")
    conftest.eventually(lambda: _endpoint_is(namespace, "false"))
    assert namespace.container("fickle")["restartCount"] == 0


def test_readiness_needs_as_many_failures_as_the_threshold_says(
    namespace: conftest.Namespace,
) -> None:
    probe = conftest.http_probe("/ready", failureThreshold=3)
    namespace.apply(conftest.pod("patient", readinessProbe=probe))
    namespace.wait_for("condition=Ready", "pod/patient")
    namespace.tell("patient", "/ready/off")
    told = datetime.now().astimezone()

    namespace.wait_for(f"{_READY}=False", "pod/patient")

    since = namespace.status("patient")["conditions"][-1]["lastTransitionTime"]
    assert (datetime.fromisoformat(since) - told).total_seconds() > 1  # in whole seconds, of 2 to 3


def test_failing_liveness_restarts_the_container(namespace: conftest.Namespace) -> None:
    # Without a startup probe the first liveness probe meets a process that hears no signal yet.
    namespace.apply(
        conftest.pod(
            "stuck",
            startupProbe=conftest.http_probe("/live", failureThreshold=30),
            livenessProbe=conftest.http_probe("/live"),
        )
    )
    namespace.wait_for("condition=Ready", "pod/stuck")

    namespace.tell("stuck", "/live/off")

    namespace.wait_for(f"{_RESTARTS}=1", "pod/stuck")
    assert "ended in order" in namespace.logs("stuck")


def test_startup_probe_holds_the_others_back(namespace: conftest.Namespace) -> None:
    namespace.apply(
        conftest.pod(
            "starting",
            startupProbe=conftest.http_probe("/ready", failureThreshold=60),
            livenessProbe=conftest.http_probe("/nothing-here", failureThreshold=60),
            env=[{"name": "READY", "value": "off"}],
        )
    )
    namespace.wait_for("jsonpath={.status.phase}=Running", "pod/starting")
    assert not namespace.container("starting")["started"]

    namespace.tell("starting", "/ready/on")

    namespace.wait_for("condition=Ready", "pod/starting")
    assert namespace.container("starting")["restartCount"] == 0


def test_exec_probe_runs_in_the_container(namespace: conftest.Namespace) -> None:
    see_own_file = {"command": ["python", "-c", "open('/etc/marked/here')"]}
    namespace.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"here": ""}},
        conftest.pod(
            "inside",
            spec={"volumes": [{"name": "marked", "configMap": {"name": "m"}}]},
            volumeMounts=[{"name": "marked", "mountPath": "/etc/marked"}],
            readinessProbe={"exec": see_own_file, "periodSeconds": 1},
        ),
    )

    namespace.wait_for("condition=Ready", "pod/inside")


def test_crash_is_restarted_at_once_and_then_with_a_delay(namespace: conftest.Namespace) -> None:
    namespace.apply(
        conftest.script("crashing", "raise SystemExit(3)", spec={"restartPolicy": "Always"})
    )

    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    namespace.wait_for(f"{reason}=CrashLoopBackOff", "pod/crashing")
    shown = namespace.container("crashing")
    assert shown["restartCount"] == 1
    assert shown["lastState"]["terminated"]["exitCode"] == 3
    assert namespace.status("crashing")["phase"] == "Running"
    assert not shown["ready"]

    ended = datetime.fromisoformat(shown["lastState"]["terminated"]["finishedAt"])
    conftest.eventually(lambda: _last_started(namespace, "crashing") > ended)
    assert (_last_started(namespace, "crashing") - ended).total_seconds() >= 9  # in whole seconds


def _last_started(namespace: conftest.Namespace, pod: str) -> datetime:
    """When the last run of a container that has ended had begun."""
    text = namespace.container(pod)["lastState"]["terminated"]["startedAt"]
    return datetime.fromisoformat(text)


def test_unknown_image_says_what_to_do(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.pod("strange", image="registry.example/strange:1"))

    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    namespace.wait_for(f"{reason}=ImagePullBackOff", "pod/strange")
    waiting = namespace.container("strange")["state"]["waiting"]
    assert "images.py" in waiting["message"]
    assert namespace.status("strange")["phase"] == "Pending"


def test_command_that_does_not_exist_is_a_start_error(namespace: conftest.Namespace) -> None:
    namespace.apply(
        conftest.pod("wrong", spec={"restartPolicy": "Never"}, command=["no-such-command"])
    )

    namespace.wait_for("jsonpath={.status.phase}=Failed", "pod/wrong")
    ended = namespace.container("wrong")["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "no-such-command" in ended["message"]
