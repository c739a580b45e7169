"""`course measure`: runs every benchmark on the CPU or the GPU and keeps results with machine, versions and date."""

import datetime
import importlib
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from autograder.paths import ROOT

RESULTS = ROOT / "data" / "results"
BENCHMARKS = ROOT / "source" / "benchmarks"


def measure(kind: str, results: Path = RESULTS) -> int:
    """Run all benchmarks, "gpu" ones after the tests that need a GPU. Returns the exit code."""
    if kind == "gpu" and not torch.cuda.is_available():
        print("No GPU here: nothing was run. torch.cuda.is_available() is False; run this where there is one.")
        return 0
    device = torch.device("cuda" if kind == "gpu" else "cpu")
    if kind == "gpu":
        tests = subprocess.run([sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0"], cwd=ROOT, check=False)
        if tests.returncode not in (0, 5):  # 5: no test is marked
            return tests.returncode
    results.mkdir(parents=True, exist_ok=True)
    modules = {file.stem: f"source.benchmarks.{file.stem}" for file in sorted(BENCHMARKS.glob("[a-z]*.py"))}
    if kind == "bench":
        modules["book"] = "book.weights"
    for name, module in modules.items():
        print(f"{name} on {machine(device)['device']} ...", flush=True)
        found = importlib.import_module(module).run(device)
        target = results / f"{name}-{kind}.json"
        target.write_text(json.dumps({**machine(device), **found}, indent=2) + "\n", encoding="utf-8")
        for row in found["rows"]:
            print("  " + "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        print(f"  written: {target}")
    return 0


def machine(device: torch.device) -> dict[str, object]:
    """What a result must state to be compared: device, cores, versions, date."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else _cpu()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.date.today().isoformat(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
