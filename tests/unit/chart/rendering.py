"""The chart rendered by Helm's own library, as objects."""

from collections.abc import Mapping
from typing import Any

import helm_python as helm
import yaml

from modelrollout.api import crd

Json = dict[str, Any]

CHART = crd.CHECKOUT / "charts" / "modelrollout"
RELEASE = "modelrollout"
NAMESPACE = "operators"


def render(
    values: Mapping[str, Any] | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE
) -> list[Json]:
    """Every object of the release, in no particular order.

    Raises:
        helm_python.HelmError: when the values are refused.
    """
    chart = helm.Chart.load(str(CHART))
    files = chart.render(dict(values or {}), name=release, namespace=namespace)
    texts = (text for path, text in files.items() if path.endswith(".yaml"))
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


def notes(values: Mapping[str, Any] | None = None) -> str:
    """What the user reads after an installation."""
    files = helm.Chart.load(str(CHART)).render(
        dict(values or {}), name=RELEASE, namespace=NAMESPACE
    )
    return str(files["modelrollout/templates/NOTES.txt"])


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    """The objects of one kind."""
    return [one for one in objects if one["kind"] == kind]


def only(objects: list[Json], kind: str) -> Json:
    """The one object of a kind; fails when there are more or fewer."""
    (found,) = of_kind(objects, kind)
    return found
