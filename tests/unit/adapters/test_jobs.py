"""The Job of a smoke test: the user's template, bounded in time, told where the candidate is."""

from typing import Any

from modelrollout.adapters import jobs
from modelrollout.domain.planned import Job
from tests.unit.routing import gateway

Json = dict[str, Any]

ROLLOUT: Json = {
    "apiVersion": "modelrollout.dev/v1alpha1",
    "kind": "ModelRollout",
    "metadata": {"name": "fraud", "namespace": "ml", "uid": "uid-1"},
}
JOB = Job(
    name="fraud-smoke-1",
    template="fraud-smoke",
    timeout_s=90.5,
    environment={"MODELROLLOUT_PREVIEW_URL": "http://fraud-preview.example.com"},
    version="v2",
)


def template(**spec: Any) -> Json:
    container = {"name": "ask", "image": "ask", "env": [{"name": "ASK", "value": "twice"}]}
    pods = {"restartPolicy": "Never", "containers": [container], "initContainers": [container]}
    return {
        "spec": {
            "suspend": True,
            "jobTemplate": {
                "metadata": {"labels": {"team": "risk"}},
                "spec": {"backoffLimit": 1, "template": {"spec": pods}, **spec},
            },
        }
    }


def rendered(**spec: Any) -> Json:
    return jobs.rendered(
        JOB, template=template(**spec), rollout=ROLLOUT, spec=gateway.rollout().spec
    )


def test_every_container_knows_where_the_candidate_is() -> None:
    pods = rendered()["spec"]["template"]["spec"]
    for container in (*pods["containers"], *pods["initContainers"]):
        known = {one["name"]: one["value"] for one in container["env"]}
        assert known == {
            "ASK": "twice",
            "MODELROLLOUT_PREVIEW_URL": "http://fraud-preview.example.com",
            "MODELROLLOUT_SERVICE_URL": "http://fraud-v2.ml:8080",
        }


def test_the_templates_own_words_cannot_hide_the_candidate() -> None:
    own = template()
    (container,) = own["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "MODELROLLOUT_PREVIEW_URL", "value": "http://elsewhere"})
    made = jobs.rendered(JOB, template=own, rollout=ROLLOUT, spec=gateway.rollout().spec)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    values = [one["value"] for one in container["env"] if "PREVIEW" in one["name"]]
    assert values == ["http://fraud-preview.example.com"]


def test_it_ends_with_the_timeout_and_stays_long_enough_to_be_seen() -> None:
    assert rendered()["spec"]["activeDeadlineSeconds"] == 91
    assert rendered(activeDeadlineSeconds=30)["spec"]["activeDeadlineSeconds"] == 30
    assert rendered(activeDeadlineSeconds=900)["spec"]["activeDeadlineSeconds"] == 91
    assert rendered(ttlSecondsAfterFinished=1)["spec"]["ttlSecondsAfterFinished"] == 3600
    assert rendered()["spec"]["ttlSecondsAfterFinished"] == 86_400


def test_it_belongs_to_the_rollout_and_keeps_its_labels() -> None:
    metadata = rendered()["metadata"]
    assert metadata["name"] == "fraud-smoke-1"
    assert metadata["labels"]["team"] == "risk"
    assert metadata["labels"]["modelrollout.dev/rollout"] == "fraud"
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == ["uid-1"]


def test_the_template_is_not_changed() -> None:
    own = template()
    jobs.rendered(JOB, template=own, rollout=ROLLOUT, spec=gateway.rollout().spec)
    assert own == template()
