"""Read-outs are for display, and must not make the operator start any slower."""

import subprocess
import sys


def test_read_outs_import_no_heavy_part_of_scipy() -> None:
    code = (
        "import pkgutil, importlib, sys\n"
        "from modelrollout.analysis import readouts\n"
        "for module in pkgutil.iter_modules(readouts.__path__, readouts.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "print([name for name in ('scipy.stats', 'scipy.optimize', 'scipy.sparse') "
        "if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
