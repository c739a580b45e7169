"""Starts Dask workers as Slurm jobs and grades on them, or waits and prints the address. It grades nothing itself.

python book/instructors/cluster/slurm.py ch01 --workers 16 --queue teaching
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from dask_jobqueue import SLURMCluster

from autograder.grading.limits import Limits
from autograder.paths import classroom

# A notebook may use so much; the warm process, the Dask worker and their libraries come on top.
MEMORY = f"{(Limits().memory >> 30) + 3} GiB"


def cluster(queue: str | None = None, interface: str | None = None, hours: int = 2) -> SLURMCluster:
    """A scheduler on this machine whose workers are Slurm jobs: one job, one worker, one notebook at a time."""
    return SLURMCluster(
        queue=queue,
        cores=1,
        processes=1,
        memory=MEMORY,
        walltime=f"{hours:02d}:00:00",
        interface=interface,
        python=sys.executable,  # the course as it is installed here: the folder must be there on the nodes too
        log_directory=str(classroom() / "slurm"),
        job_script_prologue=["export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1"],
    )


def main() -> int:
    """Grade a chapter, or, without one, keep the workers until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="?", help="What to grade. Without it the address is printed.")
    parser.add_argument("--workers", type=int, default=8, help="Slurm jobs, so notebooks at a time.")
    parser.add_argument("--queue", help="A partition. Default: Slurm's own.")
    parser.add_argument("--interface", help="The network that this machine shares with the nodes, for instance ib0.")
    parser.add_argument("--hours", type=int, default=2, help="How long a job may last.")
    parser.add_argument("--show", action="store_true", help="Print the job script and start nothing.")
    told, rest = parser.parse_known_args()
    with cluster(told.queue, told.interface, told.hours) as workers:
        if told.show:
            print(workers.job_script())
            return 0
        workers.scale(jobs=told.workers)
        if told.chapter:
            course = str(Path(sys.executable).with_name("course"))
            command = [course, "grade", told.chapter, "--cluster", workers.scheduler_address, *rest]
            return subprocess.run(command, check=False).returncode
        print(f"course grade CHAPTER --cluster {workers.scheduler_address}", flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
