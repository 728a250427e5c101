"""`release`: the next version as files; what was written by hand stays as it was written."""

import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.unit.cli import conftest

ROLLOUT: Final = """# The rollout of the fraud model.
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud}
spec:
  target: v2   # the one line of a release
  versions:
    # the first model
    - name: v1
      service: {name: fraud-v1, port: 8080}
      workload: {name: fraud-v1}
    - name: v2
      service: {name: fraud-v2, port: 8080}   # port of the model server
      workload: {name: fraud-v2}
      info: {commit: abc}
  # one provider
  traffic: {gatewayAPI: {parentRefs: [{name: public}]}}
"""
MODEL: Final = """# Deployed by hand.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: fraud-{v}
  labels: {{app: fraud, version: "{v}"}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: fraud, version: "{v}"}}
  template:
    metadata:
      labels: {{app: fraud, version: "{v}"}}
    spec:
      containers:
        - name: model
          image: registry.example/fraud:{v}   # by tag
          env: [{{name: STAGE, value: prod}}]
---
apiVersion: v1
kind: Service
metadata: {{name: fraud-{v}}}
spec:
  selector: {{app: fraud, version: {v}}}
  ports: [{{port: 8080}}]
"""
IMAGE: Final = "registry.example/fraud@sha256:0123"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rollout.yaml").write_text(ROLLOUT, encoding="utf-8")
    for version in ("v1", "v2"):
        text = MODEL.format(v=version)
        (tmp_path / f"fraud-{version}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def release(run: conftest.Run, folder: Path, *more: str) -> conftest.Answer:
    return run("release", "--image", IMAGE, "-f", str(folder), *more)


def test_writes_the_next_version_and_nothing_else(run: conftest.Run, folder: Path) -> None:
    answer = release(run, folder, "--write")
    assert answer.code == 0, answer.err
    after = written(folder)
    assert sorted(after) == ["fraud-v2.yaml", "fraud-v3.yaml", "rollout.yaml"]
    assert after["fraud-v2.yaml"] == MODEL.format(v="v2")
    assert after["fraud-v3.yaml"] == MODEL.format(v="v3").replace(
        "registry.example/fraud:v3", IMAGE
    )
    assert after["rollout.yaml"] == (
        ROLLOUT.replace("target: v2", "target: v3")
        .replace(
            "    - name: v1\n"
            "      service: {name: fraud-v1, port: 8080}\n"
            "      workload: {name: fraud-v1}\n",
            "",
        )
        .replace(
            "      info: {commit: abc}\n",
            "      info: {commit: abc}\n"
            "    - name: v3\n"
            "      service:\n        name: fraud-v3\n        port: 8080\n"
            "      workload:\n        name: fraud-v3\n",
        )
    )


def test_prints_the_diff_and_writes_nothing_unless_told(run: conftest.Run, folder: Path) -> None:
    before = written(folder)
    answer = release(run, folder)
    assert written(folder) == before
    for line in (
        "--- a/fraud-v1.yaml\n+++ /dev/null\n",
        "--- /dev/null\n+++ b/fraud-v3.yaml\n",
        "-  target: v2   # the one line of a release\n+  target: v3   # the one line",
        f"+          image: {IMAGE}   # by tag\n",
    ):
        assert line in answer.out


def test_the_diff_applies(run: conftest.Run, folder: Path) -> None:
    patch = release(run, folder).out
    subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=folder, check=True)
    applied = written(folder)
    assert "fraud-v1.yaml" not in applied
    assert IMAGE in applied["fraud-v3.yaml"]


def test_a_second_release_goes_on_from_the_first(run: conftest.Run, folder: Path) -> None:
    release(run, folder, "--write")
    answer = run("release", "--image", "fraud:4", "-f", str(folder), "--write")
    assert answer.code == 0, answer.err
    spec = yaml.safe_load((folder / "rollout.yaml").read_text(encoding="utf-8"))["spec"]
    assert [version["name"] for version in spec["versions"]] == ["v3", "v4"]
    assert spec["target"] == "v4"


@pytest.mark.parametrize("option", [["--stable", "v1"], ["--keep"]], ids=["stable", "keep"])
def test_the_version_that_serves_is_not_dropped(
    run: conftest.Run, folder: Path, option: list[str]
) -> None:
    answer = release(run, folder, "--write", *option)
    assert (answer.code, answer.err) == (0, "")
    assert "fraud-v1.yaml" in written(folder)
    spec = yaml.safe_load((folder / "rollout.yaml").read_text(encoding="utf-8"))["spec"]
    assert [version["name"] for version in spec["versions"]] == ["v1", "v2", "v3"]


FIRST, PRESENT = (
    f"{{name: {name}, service: {{name: fraud-{name}, port: 80}}, workload: {{name: fraud-{name}}}}}"
    for name in ("v1", "v2")
)


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param(f"[{FIRST}, {PRESENT}]", id="flow"),
        pytest.param(f"[{PRESENT}, {FIRST}]", id="flow, oldest last"),
        pytest.param(f"\n  - {FIRST}\n  # now\n  - {PRESENT}  # behind", id="lines"),
        pytest.param(f"\n  - {PRESENT}\n  - {FIRST}", id="lines, oldest last"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", ""], ids=["newline", "no newline"])
def test_a_list_of_any_style_stays_in_its_style(
    run: conftest.Run, folder: Path, versions: str, ending: str
) -> None:
    head, _, _ = ROLLOUT.partition("  versions:\n")
    text = (
        f"{head}  traffic: {{gatewayAPI: {{parentRefs: [{{name: g}}]}}}}\n"
        f"  versions: {versions}{ending}"
    )
    (folder / "rollout.yaml").write_text(text, encoding="utf-8")
    answer = release(run, folder, "--write")
    assert answer.code == 0, answer.err
    after = (folder / "rollout.yaml").read_text(encoding="utf-8")
    spec = yaml.safe_load(after)["spec"]
    assert spec["versions"] == [
        {
            "name": name,
            "service": {"name": f"fraud-{name}", "port": 80},
            "workload": {"name": f"fraud-{name}"},
        }
        for name in ("v2", "v3")
    ]
    assert "{name: v3, service: {name: fraud-v3, port: 80}, workload: {name: fraud-v3}}" in after
    assert after.count("#") == text.count("#")


def test_text_of_several_lines_ends_where_its_item_ends(run: conftest.Run, folder: Path) -> None:
    note = "      info:\n        note: |\n          of {}\n"
    text = ROLLOUT.replace("    - name: v2", note.format("v1") + "    - name: v2").replace(
        "      info: {commit: abc}\n", note.format("v2")
    )
    (folder / "rollout.yaml").write_text(text, encoding="utf-8")
    assert release(run, folder, "--write").code == 0
    after = (folder / "rollout.yaml").read_text(encoding="utf-8")
    versions = yaml.safe_load(after)["spec"]["versions"]
    assert [version["name"] for version in versions] == ["v2", "v3"]
    assert versions[0]["info"] == {"note": "of v2\n"}
    assert "# one provider\n" in after


def test_one_file_for_all_gets_the_new_objects_at_its_end(run: conftest.Run, folder: Path) -> None:
    whole = "---\n".join([ROLLOUT, MODEL.format(v="v1"), MODEL.format(v="v2").rstrip("\n")])
    for path in folder.iterdir():
        path.unlink()
    (folder / "all.yaml").write_text(whole, encoding="utf-8")
    assert release(run, folder, "--write").code == 0
    objects = yaml.safe_load_all((folder / "all.yaml").read_text(encoding="utf-8"))
    assert [(one["kind"], one["metadata"]["name"]) for one in objects] == [
        ("ModelRollout", "fraud"),
        ("Deployment", "fraud-v2"),
        ("Service", "fraud-v2"),
        ("Deployment", "fraud-v3"),
        ("Service", "fraud-v3"),
    ]


def test_says_what_it_left_as_it_was(run: conftest.Run, folder: Path) -> None:
    path = folder / "fraud-v2.yaml"
    path.write_text(path.read_text().replace("value: prod", "value: s3://m/v2"), encoding="utf-8")
    (folder / "kustomization.yaml").write_text("resources: [fraud-v2.yaml]\n", encoding="utf-8")
    answer = release(run, folder)
    assert "spec.template.spec.containers.0.env.0.value still says 's3://m/v2'" in answer.err
    assert "bring fraud-v3.yaml, fraud-v1.yaml up to date there" in answer.err


@pytest.mark.parametrize(
    ("file", "change", "options", "words"),
    [
        pytest.param("fraud-v2.yaml", ("kind: Service", "kind: S"), [], "one Service", id="none"),
        pytest.param("fraud-v2.yaml", ("registry.example/fraud:v2", IMAGE), [], "runs", id="same"),
        pytest.param("rollout.yaml", ("target: v2", "target: v9"), [], "saw v9", id="target"),
        pytest.param("rollout.yaml", ("kind: Model", "kind: M"), [], "found 0", id="no rollout"),
        pytest.param("rollout.yaml", ("{name: fraud}", "{{"), [], "not YAML", id="yaml"),
        pytest.param("rollout.yaml", ("", ""), ["--name", "v1"], "has a version v1", id="taken"),
        pytest.param("rollout.yaml", ("", ""), ["--name", "V 3"], "lowercase", id="name"),
        pytest.param("rollout.yaml", ("", ""), ["--stable", "v7"], "saw v7", id="stable"),
        pytest.param("rollout.yaml", ("", ""), ["--container", "x"], "saw x", id="container"),
        pytest.param(
            "fraud-v2.yaml", ('version: "v2"', "tier: a"), [], "names no version", id="selector"
        ),
    ],
)
def test_what_cannot_be_released_gets_one_sentence(
    run: conftest.Run,
    folder: Path,
    *,
    file: str,
    change: tuple[str, str],
    options: list[str],
    words: str,
) -> None:
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    before = written(folder)
    answer = release(run, folder, "--write", *options)
    assert answer.code == 4
    assert words in answer.err
    assert answer.err.count("\n") == 1
    assert written(folder) == before


def test_a_folder_that_is_none_gets_one_sentence(run: conftest.Run, folder: Path) -> None:
    answer = release(run, folder / "none")
    assert (answer.code, "expected a folder" in answer.err) == (4, True)
