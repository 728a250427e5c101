"""Presets: the metrics of known servers and gateways, as data beside this package."""

from functools import cache
from importlib import resources
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelrollout.api.spec import Arm, Metric, ModelRolloutSpec

FOLDER: Final = "modelrollout.presets"


class MetricError(ValueError):
    """Metrics that cannot be used; the message says what to change."""


class Preset(BaseModel):
    """One preset.

    Attributes:
        about: what it is for, in a sentence.
        arm: which series are a version's, unless the rollout says so itself.
        metrics: what is compared.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )

    about: str
    arm: Arm | None = None
    metrics: tuple[Metric, ...] = Field(min_length=1)


@cache
def known() -> dict[str, Preset]:
    """All presets by name."""
    files = resources.files(FOLDER).iterdir()
    return {
        file.name.removesuffix(".yaml"): Preset.model_validate(yaml.safe_load(file.read_text()))
        for file in files
        if file.name.endswith(".yaml")
    }


def resolve(spec: ModelRolloutSpec) -> ModelRolloutSpec:
    """The spec with its preset's metrics merged in; its own metrics of the same name win.

    Raises:
        MetricError: for a preset that does not exist.
    """
    name = spec.analysis.preset
    if name is None:
        return spec
    preset = known().get(name)
    if preset is None:
        raise MetricError(f"preset {name} is none of: {', '.join(sorted(known()))}")
    own = {metric.name for metric in spec.analysis.metrics}
    added = [metric for metric in preset.metrics if metric.name not in own]
    changes: dict[str, object] = {"metrics": [*spec.analysis.metrics, *added]}
    if preset.arm is not None and "arm" not in spec.analysis.model_fields_set:
        changes["arm"] = preset.arm
    return spec.model_copy(update={"analysis": spec.analysis.model_copy(update=changes)})
