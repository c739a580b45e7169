"""Confines the process that runs hand-ins: finds out what this machine can do and builds the command. It runs none.

bubblewrap (https://github.com/containers/bubblewrap) gives it namespaces of its own: no network, no other process,
a read-only view of the libraries and of the course's student half, and scratch space in memory. Inside, each hand-in
confines itself once more with Landlock where the kernel has it (autograder.grading.child).
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.grading.limits import Limits
from autograder.grading.warm import SCRATCH
from autograder.paths import ROOT

NONE = "none (--unsafe)"
# Of the course a hand-in sees what a student installs, and the loop that serves it. No answers, no release, no judge.
_COURSE = ("source", "data", "autograder/checks", "autograder/stored")
_LOOP = ("__init__", "warm", "child", "syscalls", "wire", "limits")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime", "mime.types", "protocols")
_DEVICES = "/sys/devices/system/cpu"  # how many cores there are, and of which kind
TRUST = "or give --unsafe if you trust every hand-in as you trust your own code"


class NotIsolated(RuntimeError):
    """Hand-ins cannot be confined here; the message says why, and the command that mends it."""


@dataclass(frozen=True)
class Isolation:
    """What holds. kind: "user" (started by root: each worker has a user id of its own), "namespace", or "none"."""

    kind: str
    landlock: int = 0  # the version of the kernel's interface that is used, 0 for none

    @property
    def level(self) -> str:
        """In words, as it is recorded with every result."""
        if self.kind == "none":
            return NONE
        ids = "own user id" if self.kind == "user" else "user namespace"
        return f"bubblewrap ({ids})" + (f", Landlock {self.landlock}" if self.landlock else "")


UNSAFE = Isolation("none")


@cache
def probe() -> Isolation:
    """The strongest isolation that works here, tried out with the very command. Raises NotIsolated."""
    if sys.platform != "linux":
        raise NotIsolated(
            f"hand-ins can be confined on Linux only, and this is {sys.platform}: grade in a Linux container or "
            f"virtual machine, {TRUST}"
        )
    if shutil.which("bwrap") is None:
        raise NotIsolated(f"bubblewrap is not installed: sudo apt-get install bubblewrap, {TRUST}")
    said = ""
    for kind in ("user", "namespace") if os.geteuid() == 0 else ("namespace",):
        trial = [*sandbox(kind, Limits()), sys.executable, "-c", "import numpy"]
        done = subprocess.run(trial, capture_output=True, text=True, errors="replace", check=False, timeout=60)
        if done.returncode == 0:
            return Isolation(kind, landlock())
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise NotIsolated(f"bubblewrap cannot confine hand-ins here ({said}): {_mend(said)}, {TRUST}")


def landlock() -> int:
    """The kernel's Landlock version where it confines files, signals and sockets (6 or newer), else 0."""
    try:
        import sandlock
    except ImportError:
        return 0
    abi = sandlock.landlock_abi_version()
    return abi if abi >= sandlock.min_landlock_abi() else 0


def sandbox(kind: str, limits: Limits) -> list[str]:
    """bubblewrap's command line, up to the program that it is to start."""
    # Listed one by one: "all" would include a user namespace, which root does without (its ids are worth more).
    apart = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if kind == "user":
        # To give hand-ins another user id, to see what memory they use, to end them and remove what they leave. They
        # themselves have none of these.
        kept = ("SETUID", "SETGID", "KILL", "DAC_OVERRIDE", "FOWNER", "SYS_PTRACE")
        apart += ["--cap-drop", "ALL", *(word for one in kept for word in ("--cap-add", f"CAP_{one}"))]
    else:
        apart += ["--unshare-user", "--cap-drop", "ALL"]
    room = ["--perms", "1777", "--size", str(limits.scratch), "--tmpfs"]
    return [
        *("bwrap", *apart, "--die-with-parent", "--as-pid-1", "--new-session", "--hostname", "grading"),
        *_shown(),
        *("--proc", "/proc", "--dev", "/dev", *room, "/dev/shm", *room, SCRATCH, "--dir", "/home"),
        *_tmp(),
        # What bubblewrap makes for itself would be writable memory, without a limit; and the kernel's settings in
        # /proc/sys belong to root even where root has no other rights left.
        *("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"),
    ]


def _tmp() -> list[str]:
    # A course that lies below /tmp is shown there.
    return [] if any(word.startswith("/tmp/") for word in _shown()) else ["--symlink", SCRATCH, "/tmp"]


@cache
def _shown() -> list[str]:
    """The words that show the libraries and the student half of the course, read-only, where they are outside."""
    shown: list[Path] = [Path("/etc") / name for name in _ETC] + [Path(_DEVICES)]
    shown += _roots([sys.prefix, sys.base_prefix, *sys.path])
    shown += [ROOT / part for part in _COURSE]
    shown += sorted((ROOT / "autograder").glob("*.py"))
    shown += [ROOT / "autograder" / "grading" / f"{name}.py" for name in _LOOP]
    words: list[str] = []
    for name in _SYSTEM:
        link = Path(name)
        if link.is_symlink():
            words += ["--symlink", str(link.readlink()), name]
        elif link.exists():
            words += ["--ro-bind", name, name]
    made: set[Path] = set()
    for path in shown:
        if not path.exists() or path.is_relative_to("/usr"):
            continue
        for parent in reversed(path.parents[:-1]):
            # bubblewrap itself makes folders that only root may enter.
            if parent not in made and not any(parent.is_relative_to(root) for root in _SYSTEM):
                words += ["--perms", "0755", "--dir", str(parent)]
                made.add(parent)
        words += ["--ro-bind", str(path), str(path)]
    return words


def _roots(paths: list[str]) -> list[Path]:
    """The folders that hold Python and its libraries, none inside another. The course's own root is none of them."""
    found: list[Path] = []
    for path in sorted({Path(p).resolve() for p in paths if p} | {Path(p).absolute() for p in paths if p}):
        inside = any(path.is_relative_to(other) for other in found)
        if path.is_dir() and not inside and not ROOT.is_relative_to(path):
            found.append(path)
    # A checkout that was put on the path would show everything in it.
    return [p for p in found if not p.is_relative_to(ROOT) or p == Path(sys.prefix)]


def _mend(said: str) -> str:
    if "--size" in said or "--perms" in said:
        return "it is older than 0.7, install a newer one"
    limits = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if limits.exists() and limits.read_text().strip() == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    older = Path("/proc/sys/kernel/unprivileged_userns_clone")
    if older.exists() and older.read_text().strip() == "0":
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "start the container with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
    return "let this user make namespaces (`unshare --user --pid true` must work)"
