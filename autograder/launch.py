"""`setup`: the first line of every lab. Looks at what the platform has, picks the device, says so in one line."""

import importlib.metadata
import importlib.util
import os
import sys
from functools import cache

# The oldest versions with which the labs were seen to work; a platform's newer ones are left as they are.
OLDEST = {"torch": (2, 6), "numpy": (2, 0), "matplotlib": (3, 9)}


def setup():
    """Return the torch device the lab runs on, after one line that says what was found.

    Raises SystemExit with the mending command when a library is missing.
    """
    missing = [name for name in OLDEST if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"This lab needs {', '.join(missing)}. Install with:  {sys.executable} -m pip install {' '.join(missing)}"
        )
    import torch

    from source.plots import use_course_style

    use_course_style()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    old = [
        f"{n} {found} is older than {'.'.join(map(str, least))}"
        for n, least in OLDEST.items()
        if (found := _version(n)) and _parts(found) < least
    ]
    course = f"course {_version('transformer-systems') or 'from a folder'}"
    told = [course, f"Python {sys.version.split()[0]}", f"torch {torch.__version__}", _platform(), name]
    print(" · ".join(told) + "".join(f"\nWarning: {said}: update it if a check misbehaves." for said in old))
    return device


def _platform() -> str:
    if "COLAB_RELEASE_TAG" in os.environ:
        return "Colab"
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "Kaggle"
    return "local"


@cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])
