"""The core goes into an image of its own: it brings numpy, and nothing heavy or that does I/O."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import modelrollout.shadow as room
for found in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if not found.name.startswith("modelrollout.shadow.serving"):
        importlib.import_module(found.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_core_imports_numpy_and_the_standard_library_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {"scipy", "aiohttp", "grpc", "httpx", "requests", "pydantic", "kopf", "kubernetes"}
    assert loaded & heavy == set()
    assert {"numpy", "modelrollout"} <= loaded
