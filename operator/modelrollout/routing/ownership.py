"""Labels of what the operator makes: by them it knows its own, and people find all of a rollout."""

from typing import Final

ROLLOUT: Final = "modelrollout.dev/rollout"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OURS: Final = "modelrollout"
