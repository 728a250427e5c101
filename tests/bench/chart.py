"""What is measured with the operator as its chart installs it: reaction and rest."""

import json
import sys
from pathlib import Path

from tests.bench import idle, reaction
from tests.cluster.handle import Cluster
from tests.e2e import conftest

if __name__ == "__main__":
    there = Cluster.from_environment()
    conftest.install(there)
    found = {"idle": idle.measured(there), "reaction": reaction.measured(there)}
    Path(sys.argv[1]).write_text(json.dumps(found))
