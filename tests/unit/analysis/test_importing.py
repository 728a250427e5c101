"""Starting the operator and the command line costs no import that they do not use."""

import subprocess
import sys


def test_planning_a_pass_imports_no_heavy_part_of_scipy() -> None:
    # scipy.stats and scipy.optimize alone take longer to import than all of the operator's own.
    code = (
        "import sys, modelrollout.domain.plan, modelrollout.planning.duration, "
        "modelrollout.analysis.spending\n"
        "print([name for name in ('scipy.stats', 'scipy.optimize', 'scipy.sparse') "
        "if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
