"""Builds a recipe's commands with progress, and takes a module's data out of its archive."""

import fnmatch
import json
import os
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

from tests.cluster.build import cache, progress, recipes, toolchain


class BuildError(Exception):
    """A binary could not be built; the message holds the compiler's last words."""


def build(recipe: recipes.GoRecipe) -> Path:
    """The folder with the recipe's binaries, built now unless the cache has them.

    Raises `BuildError` when Go fails.
    """
    with cache.filled(recipe.cached) as work:
        if work:
            names = " and ".join(recipe.binaries)
            progress.say(
                f"building {names} from source: about {recipe.minutes} minutes on two cores, once"
            )
            _compile(recipe, into=work)
    return recipe.cached


def _compile(recipe: recipes.GoRecipe, *, into: Path) -> None:
    command: list[str | Path] = [
        toolchain.go(),
        "build",
        "-v",
        "-o",
        f"{into}/",
        "-ldflags",
        recipe.ldflags,
    ]
    if recipe.tags:
        command += ["-tags", recipe.tags]
    process = subprocess.Popen(
        [*command, *recipe.packages],
        cwd=recipe.folder,
        env=toolchain.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to pass on: to the compilers too
    )
    try:
        said = _follow(process, recipe)
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise BuildError(f"go build of {recipe.name} failed:\n" + "\n".join(said[-20:]))


def _follow(process: subprocess.Popen[str], recipe: recipes.GoRecipe) -> list[str]:
    assert process.stderr
    said: list[str] = []
    downloads = 0

    def describe() -> str:
        packages = len(said) - downloads
        if not packages:
            return f"{downloads} modules downloaded"
        return f"{packages} packages compiled, of at most {recipe.package_count}"

    with progress.reported(describe):
        for line in process.stderr:
            downloads += line.startswith("go: downloading")
            said.append(line.rstrip())
        process.wait()
    return said


def _end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def extract(recipe: recipes.DataRecipe) -> Path:
    """The folder with the module's data; raises `BuildError` if its hash is not as pinned."""
    with cache.filled(recipe.cached) as work:
        if work:
            path, version, digest = recipe.pinned
            progress.say(f"fetching {path} {version}")
            _unpack(
                _download(path, version, digest),
                f"{path}@{version}/{recipe.inside}/",
                only=recipe.only,
                into=work,
            )
    return recipe.cached


def _download(path: str, version: str, digest: str) -> Path:
    # The exit status is not looked at: a Go older than the module's own go.mod asks for says so and
    # fails, after it has fetched and verified the archive, which is all that is needed here.
    shown = subprocess.run(
        [toolchain.go(), "mod", "download", "-json", f"{path}@{version}"],
        cwd="/",
        env=toolchain.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    got = json.loads(shown.stdout or "{}")
    if got.get("Sum") != digest or "Zip" not in got:
        raise BuildError(
            f"expected {path} {version} with hash {digest}, got {got.get('Sum')}: "
            f"{got.get('Error', shown.stderr)}"
        )
    return Path(got["Zip"])


def _unpack(archive: Path, prefix: str, *, only: str, into: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and "/" not in rest and fnmatch.fnmatch(rest, only):
                with files.open(name) as source, (into / rest).open("wb") as target:
                    shutil.copyfileobj(source, target)
