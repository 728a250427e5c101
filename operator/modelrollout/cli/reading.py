"""A ModelRollout from a file, into types at the door."""

from pathlib import Path
from typing import Any

import pydantic
import yaml

from modelrollout.api import misfits
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.cli.failing import Failure

Json = dict[str, Any]


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        Failure: when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise Failure(f"expected a readable file: {problem}") from None


def rollout(path: Path) -> Json:
    """The one ModelRollout of a YAML file.

    Raises:
        Failure: when there is none, or more than one, or the file is not YAML.
    """
    try:
        documents = [one for one in yaml.safe_load_all(text_of(path)) if isinstance(one, dict)]
    except yaml.YAMLError as problem:
        raise Failure(not_yaml(path, problem)) from None
    found = [one for one in documents if one.get("kind") == "ModelRollout"]
    if len(found) != 1:
        raise Failure(f"expected one ModelRollout in {path}, found {len(found)}")
    return found[0]


def not_yaml(path: Path, problem: yaml.YAMLError) -> str:
    """What is wrong with a file that is not YAML, in one line."""
    return f"{path} is not YAML: {' '.join(str(problem).split())}"


def spec(manifest: Json, *, of: str) -> ModelRolloutSpec:
    """The spec of a ModelRollout, as the operator reads it.

    Raises:
        Failure: naming the first field that is wrong.
    """
    try:
        return ModelRolloutSpec.model_validate(manifest.get("spec") or {})
    except pydantic.ValidationError as problem:
        raise Failure(f"{of}: {misfits.told(problem, at=('spec',))[0]}") from None
