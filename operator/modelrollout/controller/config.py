"""The administrator's configuration: one YAML file, read once at the start."""

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelrollout.adapters.source import SourceConfig
from modelrollout.api import misfits


class ConfigError(Exception):
    """The configuration cannot be used; the message says what to change."""


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )


class LeaseName(_Part):
    """Where the Lease lies by which the replicas elect their leader."""

    namespace: str
    name: str


class Providers(_Part):
    """Which providers of traffic the operator has the rights for."""

    gateway_api: bool = Field(default=True, alias="gatewayAPI")
    service: bool = True
    traefik: bool = True
    istio: bool = True
    router: bool = True

    @property
    def off(self) -> frozenset[str]:
        """The fields of `spec.traffic` that no rollout may use."""
        return frozenset(name for name, is_on in self if not is_on)


class RouterSettings(_Part):
    """How the operator runs routers; no tenant chooses an image or an address.

    Attributes:
        image: of Envoy, with a shell in it.
        xds: where Envoys ask the operator, as host:port.
        port: where the operator listens for them.
        pull_secrets: names of Secrets, in the rollout's namespace, to pull the image with.
    """

    image: str
    xds: str
    port: int = Field(default=18000, ge=0, le=65535)
    pull_secrets: tuple[str, ...] = ()


class ShadowSettings(_Part):
    """How the operator runs the observers of shadows; no tenant chooses an image.

    Attributes:
        image: of the observer.
        pull_secrets: names of Secrets, in the rollout's namespace, to pull it with.
    """

    image: str
    pull_secrets: tuple[str, ...] = ()


class Config(_Part):
    """What the administrator decides.

    Attributes:
        namespaces: which are watched; none means all.
        port: of health and metrics.
        lease: of the leader.
        verified_intents: an admission policy vouches for the names of people who give intents.
        providers: of traffic, that rollouts may name.
        smoke_tests: Jobs may be made.
        park_old: workloads may be scaled.
        hold_autoscalers: the minimum of an autoscaler may be changed.
        router: how routers are run; without it rollouts may not name that provider.
        shadow: how observers are run; without it rollouts may ask for no shadow.
        sources: of metrics, by name.
    """

    namespaces: tuple[str, ...] = ()
    port: int = Field(default=8080, ge=0, le=65535)
    lease: LeaseName
    verified_intents: bool = False
    providers: Providers = Providers()
    smoke_tests: bool = False
    park_old: bool = False
    hold_autoscalers: bool = False
    router: RouterSettings | None = None
    shadow: ShadowSettings | None = None
    sources: tuple[SourceConfig, ...] = ()

    @property
    def providers_off(self) -> frozenset[str]:
        """The fields of `spec.traffic` that no rollout may use."""
        return self.providers.off | (frozenset() if self.router else {"router"})

    @classmethod
    def read(cls, file: Path) -> Self:
        """The configuration in a file.

        Raises:
            ConfigError: when it is absent, no YAML, or not as it must be.
        """
        try:
            return cls.model_validate(yaml.safe_load(file.read_text()))
        except (OSError, yaml.YAMLError) as problem:
            raise ConfigError(f"{file} cannot be read: {problem}") from problem
        except ValidationError as problem:
            wrong = "; ".join(misfits.told(problem))
            raise ConfigError(f"{file} is not as expected: {wrong}") from problem
