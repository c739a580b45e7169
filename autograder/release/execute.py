"""Runs instructors' notebooks in a real kernel and keeps the outputs, by content. It merges and publishes nothing."""

import fcntl
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from autograder import registry
from autograder.facts import Lab, chapters
from autograder.paths import CACHE, ROOT
from autograder.release.reach import data_files, digest, reached
from autograder.release.solutions import source_file
from autograder.release.sync import as_twin
from autograder.store import stored_file

EXECUTED = CACHE / "executed"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
CELL_SECONDS = 600  # a lab runs within 5 minutes; a cell that takes longer hangs


class LabFailed(RuntimeError):
    """A cell of an instructor's notebook raised; the message names notebook, cell and traceback."""


def instructor_notebook(lab: str) -> NotebookNode:
    """A lab's instructor notebook with its stable cell ids, from the paired .py, which is what is committed."""
    file = source_file(lab)
    return as_twin(jupytext.read(file), file)


def key(lab: str) -> str:
    """What the outputs of a lab depend on, as one hash: its cells, the code and data they reach, the versions."""
    return _key(lab, instructor_notebook(lab))


def _key(lab: str, nb: NotebookNode) -> str:
    cells = [[c.cell_type, c.source] for c in nb.cells]
    code = [source for kind, source in cells if kind == "code"]
    files = reached(code, [registry.lab_files()[lab]])
    files += [stored_file(lab), ROOT / "constraints.txt"]
    files += data_files([*code, *(f.read_text(encoding="utf-8") for f in files if f.suffix == ".py")])
    inputs = {str(f.relative_to(ROOT)): digest(f) for f in files if f.is_file()}
    return hashlib.sha256(json.dumps([lab, cells, inputs], sort_keys=True).encode()).hexdigest()[:24]


def executed(lab: str) -> NotebookNode:
    """A lab's instructor notebook with outputs, from the cache where nothing that it uses changed. Raises LabFailed."""
    nb = instructor_notebook(lab)
    wanted = _key(lab, nb)
    file = EXECUTED / f"{wanted}.ipynb"
    if not file.exists():
        with _alone(EXECUTED / f"{wanted}.lock"):
            if not file.exists():  # another process may have made it while this one waited
                _write(file, nbformat.writes(execute(nb, str(source_file(lab).relative_to(ROOT)))))
    return nbformat.read(file, as_version=4)


def execute_all(progress: Callable[[str], None] = print, labs: Iterable[Lab] | None = None) -> dict[str, NotebookNode]:
    """Every lab's executed notebook, or those given, by lab id. One at a time: labs measure speed. Raises LabFailed."""
    wanted = list(labs) if labs is not None else [lab for chapter in chapters() for lab in chapter.labs]
    done = {}
    for i, lab in enumerate(wanted, 1):
        stale = not (EXECUTED / f"{key(lab.id)}.ipynb").exists()
        start = time.perf_counter()
        if stale:
            progress(f"executing lab {lab.number} ({i} of {len(wanted)}): {lab.title}")
        done[lab.id] = executed(lab.id)
        if stale:
            progress(f"executed lab {lab.number} in {time.perf_counter() - start:.0f} s")
    return done


def execute(nb: NotebookNode, name: str) -> NotebookNode:
    """Run a notebook's cells in a fresh kernel of this Python. Raises LabFailed, saying where."""
    # Heavy, and not needed when everything is cached.
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory() as scratch:
        client = NotebookClient(
            nb,
            km=_this_python(scratch),
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": scratch}},
            record_timing=False,  # the same run gives the same file
        )
        try:
            client.execute(cleanup_kc=True, env=_environment(scratch))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise LabFailed(f"{name}: {_where(nb)}\n{_ANSI.sub('', str(error))}") from error
    return nb


def _where(nb: NotebookNode) -> str:
    code = [(i, c) for i, c in enumerate(nb.cells, 1) if c.cell_type == "code"]
    # The failing cell has an error among its outputs; one that hangs or dies is the last that began.
    failed = [(i, c) for i, c in code if any(o.output_type == "error" for o in c.outputs)]
    begun = [(i, c) for i, c in code if c.execution_count or c.outputs]
    index, cell = (failed or begun or code)[-1]
    return f"cell {index} (id {cell.id}) failed"


def _this_python(scratch: str) -> Any:
    """A kernel manager that starts the Python of this process, whatever kernels the machine has registered."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    # Sockets in the scratch folder: no port that another user of the machine could reach.
    return AsyncKernelManager(
        kernel_spec_manager=ThisPython(), transport="ipc", connection_file=os.path.join(scratch, "kernel.json")
    )


def _environment(scratch: str) -> dict[str, str]:
    """The kernel's environment: no personal start-up files, plots drawn inline with matplotlib's own defaults."""
    import matplotlib

    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("NBGRADER_", "COURSE_"))},
        "IPYTHONDIR": os.path.join(scratch, ".ipython"),
        "MATPLOTLIBRC": os.path.join(matplotlib.get_data_path(), "matplotlibrc"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
    }


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # Two builds at once: one executes, the other waits for its result.
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    lock.unlink(missing_ok=True)


def _write(file: Path, text: str) -> None:
    # A reader sees the whole file or none.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, suffix=".part", delete=False) as part:
        part.write(text)
    os.replace(part.name, file)
