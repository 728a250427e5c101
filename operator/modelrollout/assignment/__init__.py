"""Who sees which version: the published assignment of users, version `v1`.

A user is hashed into one of ten thousand buckets (`hashing`), and intervals of buckets belong to
versions (`intervals`). Whoever knows a rollout's salt and intervals can repeat it: the router's
Envoy, this package, and any exporter that needs a label. `v1` never changes: another algorithm
would be another version, since it moves everybody.
"""

from typing import Final

from modelrollout.assignment import hashing, intervals

ALGORITHM: Final = "v1"

__all__ = ["ALGORITHM", "hashing", "intervals"]
