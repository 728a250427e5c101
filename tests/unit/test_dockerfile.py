"""The Dockerfile, as far as it can be checked without a container engine."""

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from tests.unit.chart import rendering

CHECKOUT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word, its flags (`--from=build`) and what follows."""

    word: str
    flags: tuple[str, ...]
    rest: str

    @property
    def arguments(self) -> list[str]:
        """The words that follow, of either form."""
        if self.rest.startswith("["):
            found: list[str] = json.loads(self.rest)
            return found
        return shlex.split(self.rest)


def instructions() -> list[Instruction]:
    text = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", plain).splitlines()
    return [_instruction(line) for line in lines if line.strip()]


def _instruction(line: str) -> Instruction:
    word, rest = line.split(maxsplit=1)
    flags = []
    while rest.startswith("--"):
        flag, rest = rest.split(maxsplit=1)
        flags.append(flag)
    return Instruction(word, tuple(flags), rest.strip())


def of(word: str) -> list[Instruction]:
    return [one for one in instructions() if one.word == word]


def ignored(path: str) -> bool:
    """As the engine reads .dockerignore: the last pattern that matches it or a parent decides."""
    verdict = False
    for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = not pattern.startswith("!")
        if _matches(path, pattern.removeprefix("!")):
            verdict = wanted
    return verdict


def _matches(path: str, pattern: str) -> bool:
    whole = [path, *(str(one) for one in PurePosixPath(path).parents if str(one) != ".")]
    return any(_is(one.split("/"), pattern.split("/")) for one in whole)


def _is(path: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_is(path[at:], pattern[1:]) for at in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _is(path[1:], pattern[1:])


def copied() -> list[tuple[str, str]]:
    """What is copied out of the checkout, and where to."""
    pairs = []
    for one in of("COPY"):
        if not any(flag.startswith("--from") for flag in one.flags):
            *sources, target = one.arguments
            pairs += [(source, target) for source in sources]
    return pairs


def test_the_files_that_are_copied_exist_and_are_sent_to_the_engine() -> None:
    assert copied()
    for source, _ in copied():
        assert (CHECKOUT / source).exists(), source
        assert not ignored(source), source


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/__init__.py",
        "operator/modelrollout/api/__pycache__/spec.cpython-311.pyc",
        "operator/other.txt",
    ],
)
def test_nothing_else_is_sent_to_the_engine(path: str) -> None:
    assert ignored(path)


def test_the_whole_package_is_sent_to_the_engine() -> None:
    package = CHECKOUT / "operator" / "modelrollout"
    files = [path for path in package.rglob("*") if path.suffix in {".py", ".yaml"}]
    assert files
    for path in files:
        assert not ignored(path.relative_to(CHECKOUT).as_posix()), path


def test_every_stage_starts_from_one_pinned_slim_python_that_the_project_allows() -> None:
    (tag,) = (one.rest.removeprefix("PYTHON=") for one in of("ARG") if "PYTHON=" in one.rest)
    found = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?-slim-[a-z]+", tag)
    assert found
    assert [one.arguments[0] for one in of("FROM")] == ["python:${PYTHON}"] * 2
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"])
    assert least
    assert (int(found[1]), int(found[2])) >= (int(least[1]), int(least[2]))


def test_the_version_on_the_label_is_the_projects() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"VERSION={project['version']}" in [one.rest for one in of("ARG")]


def test_dependencies_come_with_hashes_and_as_wheels() -> None:
    (install,) = (one.arguments for one in of("RUN") if "install" in one.arguments)
    assert "--require-hashes" in install
    assert install[install.index("--only-binary") + 1] == ":all:"
    source = copied()[0]
    assert source == ("operator/requirements.lock", install[install.index("-r") + 1])


def test_no_step_needs_a_shell() -> None:
    for one in [*of("RUN"), *of("ENTRYPOINT"), *of("CMD")]:
        assert one.rest.startswith("["), one.rest


def test_it_runs_as_the_chart_runs_it() -> None:
    (deployment,) = rendering.of_kind(rendering.render(), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (user,) = of("USER")
    security = pod["securityContext"]
    assert user.rest == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert int(user.rest.partition(":")[0]) > 0
    assert of("ENTRYPOINT")[-1].arguments == container["command"]
    assert of("CMD")[-1].arguments == container["args"]


def test_the_package_is_on_the_path_of_the_interpreter() -> None:
    variables = dict(word.split("=", 1) for word in of("ENV")[0].arguments)
    assert dict(copied())["operator/modelrollout"] == f"{variables['PYTHONPATH']}/modelrollout"
    (stage,) = (one for one in of("COPY") if "--from=build" in one.flags)
    assert stage.arguments[0] == stage.arguments[1]
    assert variables["PATH"].startswith(f"{stage.arguments[1]}/bin:")
    assert variables["PYTHONPATH"].startswith(stage.arguments[1])


WHAT_IT_LOADS: Final = """
import importlib.metadata, json, sys
import modelrollout.controller.__main__
owners = importlib.metadata.packages_distributions()
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted({one for name in loaded for one in owners.get(name, [])})))
"""


def test_what_the_entrypoint_loads_is_in_the_lock() -> None:
    environment = {"PYTHONPATH": str(CHECKOUT / "operator"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IT_LOADS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lock = (CHECKOUT / "operator" / "requirements.lock").read_text(encoding="utf-8")
    locked = {_plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    loaded = {_plain(name) for name in json.loads(done.stdout)}
    assert "kopf" in loaded
    assert loaded - {"modelrollout", "pip", "setuptools"} <= locked


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
