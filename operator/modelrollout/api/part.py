"""What every part of the resource is made of: its model, and the kinds of text in it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelrollout.api import scalars

Name = Annotated[str, Field(pattern=scalars.NAME, min_length=1, max_length=63)]
Selector = Annotated[str, Field(min_length=1, max_length=1024)]
Share = Annotated[float, Field(gt=0, lt=1)]
Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


class Part(BaseModel):
    """A part of the resource: camelCase outside, nothing unknown, nothing changed once read."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )
