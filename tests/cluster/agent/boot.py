"""The first steps of a container's process, in its new namespaces, before it becomes the command.

Run as a file, with the standard library only. Gives the process a root of its own: the machine's
files read-only, with a private /tmp and /run, and the pod's volumes where the manifest wants them.
Only bind mounts and tmpfs are needed, so an ordinary user's namespace is enough.
"""

import ctypes
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RUNS = b"+"

_MS_BIND, _MS_REC, _MS_NOSUID, _MS_NODEV = 4096, 16384, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SYS_MOUNT_SETATTR, _MOUNT_ATTR_RDONLY = 442, 1
_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def main() -> None:
    """`boot.py SPEC_FILE REPORT_FD`: writes RUNS to REPORT_FD when the command is about to run.

    Writes why not otherwise, and exits with 128.
    """
    report = int(sys.argv[2])
    os.set_inheritable(report, False)
    try:
        spec = json.loads(Path(sys.argv[1]).read_text())
        socket.sethostname(spec["hostname"])
        _build_root(Path(spec["root"]), spec)
        os.chroot(spec["root"])
        os.chdir(spec["cwd"])
        command = _found(spec["argv"][0], spec["env"]["PATH"])
        os.write(report, RUNS)
        os.execve(command, spec["argv"], spec["env"])  # noqa: S606 - no shell is the point
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent shall show it
        os.write(report, f"{type(error).__name__}: {error}".encode())
        os._exit(128)


def _found(command: str, path: str) -> str:
    found = shutil.which(command, path=path)
    if not found:
        raise FileNotFoundError(f"no executable {command!r} in PATH {path}")
    return found


def _build_root(root: Path, spec: dict[str, Any]) -> None:
    mounts = {Path(os.path.realpath(m["target"])): m for m in spec["mounts"]}
    private = [Path(p) for p in spec["private"]]
    _mount("tmpfs", root, kind="tmpfs", flags=_MS_NOSUID | _MS_NODEV)
    _mirror(Path("/"), root, opened=_to_open(mounts, private), private=private)
    for target, wanted in mounts.items():
        _make_place(_inside(root, target), like=Path(wanted["source"]))
    _set_read_only(root)
    for path in private:
        _mount("tmpfs", _inside(root, path), kind="tmpfs", flags=_MS_NOSUID | _MS_NODEV)
    for path in map(Path, spec["kept"]):
        if any(path.is_relative_to(p) for p in private):
            _attach(path, _inside(root, path), read_only=True)
    for target in sorted(mounts):
        wanted = mounts[target]
        _attach(Path(wanted["source"]), _inside(root, target), read_only=wanted["read_only"])
    _mount("proc", root / "proc", kind="proc")


def _to_open(targets: Iterable[Path], private: Iterable[Path]) -> set[Path]:
    """The machine's folders in which a mount point is missing, with all folders above them.

    They cannot be bound whole, because nothing may be created in the machine's own folders.
    """
    opened = {Path("/")}
    for target in targets:
        if target.exists() or any(target.is_relative_to(p) for p in private):
            continue
        above = next(p for p in target.parents if p.is_dir())
        opened |= {above, *above.parents}
    return opened


def _mirror(folder: Path, place: Path, *, opened: set[Path], private: list[Path]) -> None:
    for entry in os.scandir(folder):
        path, copy = Path(entry.path), place / entry.name
        if entry.is_symlink():
            copy.symlink_to(path.readlink())
        elif path in private or path == Path("/proc"):
            copy.mkdir()
        elif path in opened:
            copy.mkdir()
            _mirror(path, copy, opened=opened, private=private)
        else:
            _make_place(copy, like=path)
            _bind(path, copy)


def _make_place(place: Path, *, like: Path) -> None:
    if place.exists():
        return
    if like.is_dir():
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def _attach(source: Path, place: Path, *, read_only: bool) -> None:
    _make_place(place, like=source)
    _bind(source, place)
    if read_only:
        _set_read_only(place)


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _bind(source: Path, target: Path) -> None:
    # Recursively: mounts below one that an ordinary user's namespace inherited cannot be left out.
    _mount(str(source), target, flags=_MS_BIND | _MS_REC)


def _mount(source: str, target: Path, *, kind: str = "", flags: int = 0) -> None:
    arguments = [os.fsencode(a) for a in (source, target, kind)]
    if _libc.mount(*arguments, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source} at {target}: {os.strerror(number)}")


def _set_read_only(place: Path) -> None:
    wanted = _MountAttributes(set=_MOUNT_ATTR_RDONLY)
    size = ctypes.sizeof(wanted)
    # Kernels before 5.12 do not have this call: there the machine's files stay writable.
    _libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(place), _AT_RECURSIVE, ctypes.byref(wanted), size
    )


if __name__ == "__main__":
    main()
