"""Environments of images with packages of their own: each a virtual environment, pinned by hash.

They are the images of servers that we do not write, so nothing of ours is in them; and the image
of our observer, whose own packages must not meet those of the tests.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from tests.cluster import layout
from tests.cluster.build import cache, gobuild, progress

_LOCKS = {
    "observer": layout.CHECKOUT / "operator" / "observer.lock",
    **{lock.stem: lock for lock in (layout.PACKAGE / "images").glob("*.lock")},
}
KNOWN = tuple(sorted(_LOCKS))


def folder(name: str) -> Path:
    """Where the environment of an image lies in the cache, built or not."""
    digest = hashlib.sha256(_LOCKS[name].read_bytes())
    digest.update(sys.version.encode())
    return layout.cache_dir() / f"image-{name}-{digest.hexdigest()[:12]}"


def ensure(name: str) -> Path:
    """Build the environment of an image if it is missing; gives its folder.

    Raises:
        gobuild.BuildError: with the last lines of what went wrong.
    """
    target = folder(name)
    with cache.filled(target) as work:
        if work is not None:
            progress.say(f"installing the environment of image {name} (1 to 3 minutes, once)")
            with progress.reported(lambda: f"installing {name}"):
                _install(name, work)
            # Scripts name the interpreter by its path: they are made for the final folder.
            _point_scripts(work, target)
    return target


def _install(name: str, work: Path) -> None:
    venv.create(work, with_pip=True, symlinks=True)
    done = subprocess.run(
        [
            *(str(work / "bin" / "python"), "-m", "pip", "install", "--quiet"),
            *("--disable-pip-version-check", "--require-hashes", "-r", str(_LOCKS[name])),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-10:])
        raise gobuild.BuildError(f"the environment of image {name} cannot be installed:\n{last}")


def _point_scripts(work: Path, target: Path) -> None:
    for script in (work / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        text = script.read_bytes()
        if text.startswith(b"#!") and str(work).encode() in text:
            script.write_bytes(text.replace(str(work).encode(), str(target).encode()))
