"""What can be known of the image without a container engine."""

import fnmatch
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.unit.chart import rendering

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Keyword and rest of each instruction, continued lines joined, comments left out."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    split = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(keyword, rest.strip()) for keyword, _, rest in split]


def of(keyword: str) -> list[str]:
    return [rest for found, rest in instructions() if found == keyword]


def test_every_instruction_is_a_known_one() -> None:
    assert {keyword for keyword, _ in instructions()} <= KNOWN


@pytest.mark.parametrize("copied", [rest for rest in of("COPY") if not rest.startswith("--from")])
def test_what_is_copied_is_there_and_is_sent(copied: str) -> None:
    source = copied.split(maxsplit=1)[0]
    assert (ROOT / source).exists()
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    sent = [rule[1:] for rule in rules if rule.startswith("!")]
    assert any(fnmatch.fnmatch(source, rule) for rule in sent)


def test_the_user_is_the_charts_and_nobody_special() -> None:
    user = of("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    deployment = next(one for one in rendering.render({}) if one["kind"] == "Deployment")
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"


def test_the_command_is_the_charts() -> None:
    deployment = next(one for one in rendering.render({}) if one["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert json.loads(of("ENTRYPOINT")[-1]) == container["command"]
    assert json.loads(of("CMD")[-1]) == container["args"]
    assert importlib.util.find_spec(container["command"][-1]) is not None


def test_python_is_one_that_the_package_allows_and_both_stages_share() -> None:
    images = {rest.split()[0] for rest in of("FROM")}
    assert len(images) == 1
    version = re.match(r"python:(\d+)\.(\d+)-slim-", images.pop())
    assert version is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = re.match(r">=(\d+)\.(\d+)$", project["requires-python"])
    assert least is not None
    assert [int(n) for n in version.groups()] >= [int(n) for n in least.groups()]


def test_everything_installed_has_a_hash() -> None:
    lock = (ROOT / "operator" / "requirements.lock").read_text()
    pinned = re.findall(r"^[a-z0-9][^\s]*==", lock, flags=re.MULTILINE | re.IGNORECASE)
    assert len(pinned) > 20
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert all("--require-hashes" in run for run in of("RUN") if "install" in run)
