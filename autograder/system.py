"""Installs what pip cannot, where it may (root and apt). Plain Python: it runs before the set-up.

Usage: python3 autograder/system.py [python3]. Ends with 1 only where the set-up cannot go on.
"""

import importlib.util
import os
import shutil
import subprocess
import sys

# What each is for, and the Debian package that brings it.
TOOLS = {
    "bubblewrap": (("bwrap",), "confines hand-ins while they are graded"),
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "looks at the built pages in the tests"),
}
MAC = {
    "bubblewrap": "Linux only: on macOS grade in a Linux virtual machine",
    "chromium": "brew install --cask chromium",
}


def missing() -> list[str]:
    """The Debian packages whose programs are not there."""
    return [name for name, (programs, _) in TOOLS.items() if not any(map(shutil.which, programs))]


def may_install() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: list[str]) -> bool:
    """Install Debian packages; tells whether it worked."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL}
    subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
    print(f"Installing {', '.join(packages)} with apt-get", flush=True)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=False, **quiet
    )
    return done.returncode == 0


def command(name: str) -> str:
    """What a person types to get a tool."""
    return MAC[name] if sys.platform == "darwin" else f"sudo apt-get install {name}"


def main() -> int:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        have = ".".join(map(str, sys.version_info[:2]))
        print(
            f"This Python is {have}; the course needs 3.11, 3.12 or 3.13: make course PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    absent = missing()
    # Debian ships Python without the part that makes environments.
    no_venv = [] if importlib.util.find_spec("ensurepip") else [f"python3.{sys.version_info[1]}-venv"]
    if (absent or no_venv) and may_install():
        install(no_venv + absent)
        importlib.invalidate_caches()
        absent = missing()
        no_venv = [] if importlib.util.find_spec("ensurepip") else no_venv
    for name in absent:
        print(f"Not here: {name} ({TOOLS[name][1]}). What needs it is skipped. To get it: {command(name)}")
    if no_venv:
        print(f"Python cannot make environments here: sudo apt-get install {no_venv[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
