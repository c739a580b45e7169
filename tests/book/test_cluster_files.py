"""The files that the page on clusters shows: each is what its text says, as far as one machine can tell."""

import importlib.util
import re
from pathlib import Path

import distributed
import pytest
import yaml

from autograder.grading.limits import Limits
from autograder.paths import BOOK, ROOT

FOLDER = BOOK / "instructors" / "cluster"
PAGE = (BOOK / "instructors" / "cluster.md").read_text(encoding="utf-8")
KUBERNETES = FOLDER / "kubernetes.yaml"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], dict]:
    """Kubernetes objects by kind and name."""
    found = yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8"))
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def container(deployment: dict) -> dict:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def test_the_page_shows_every_file_of_the_folder():
    shown = set(re.findall(r"\{literalinclude\} cluster/(\S+)", PAGE))
    assert shown == {file.name for file in FOLDER.iterdir() if file.is_file()}


def test_there_is_a_scheduler_with_a_service_workers_and_a_policy(objects):
    assert set(objects) == {
        ("Service", "course-scheduler"),
        ("Deployment", "course-scheduler"),
        ("Deployment", "course-worker"),
        ("NetworkPolicy", "course-grading"),
    }


def test_services_and_deployments_choose_pods_that_there_are(objects):
    for (kind, name), one in objects.items():
        if kind == "Deployment":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"] == labels, name
    service = objects["Service", "course-scheduler"]["spec"]
    scheduler = objects["Deployment", "course-scheduler"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == scheduler
    chosen = objects["NetworkPolicy", "course-grading"]["spec"]["podSelector"]["matchLabels"]
    assert chosen.items() <= scheduler.items()


def test_workers_talk_to_the_service_one_notebook_at_a_time(objects):
    args = container(objects["Deployment", "course-worker"])["args"]
    (port,) = objects["Service", "course-scheduler"]["spec"]["ports"]
    assert f"tcp://course-scheduler:{port['port']}" in args
    assert args[args.index("--nthreads") + 1] == "1"
    assert str(port["port"]) in container(objects["Deployment", "course-scheduler"])["args"]


def test_workers_may_make_user_namespaces_and_nothing_else(objects):
    pod = objects["Deployment", "course-worker"]["spec"]["template"]["spec"]
    security = container(objects["Deployment", "course-worker"])["securityContext"]
    assert pod["hostUsers"] is False
    assert pod["automountServiceAccountToken"] is False
    assert security["procMount"] == "Unmasked"
    assert security["seccompProfile"] == security["appArmorProfile"] == {"type": "Unconfined"}
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True
    assert security["allowPrivilegeEscalation"] is False


def test_workers_have_room_for_a_notebooks_memory(objects):
    asked = container(objects["Deployment", "course-worker"])["resources"]["requests"]["memory"]
    assert int(asked.removesuffix("Gi")) << 30 > Limits().memory


def test_the_image_has_bubblewrap_the_pods_user_and_nothing_of_the_classroom(objects):
    assert "bubblewrap" in DOCKERFILE
    user = container(objects["Deployment", "course-worker"])["securityContext"]["runAsUser"]
    assert f"USER {user}\n" in DOCKERFILE
    copied = [word for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert not {".", "classroom", "notebooks"} & set(copied)
    # The sandbox brings a /tmp of its own, and shows all of the other two.
    (folder,) = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)
    assert not folder.startswith(("/tmp", "/usr", "/opt"))


def test_dask_finds_its_certificates_where_it_looks_for_them():
    told = yaml.safe_load((FOLDER / "tls.yaml").read_text(encoding="utf-8"))["distributed"]["comm"]
    defaults = Path(distributed.__file__).parent / "distributed.yaml"
    default = yaml.safe_load(defaults.read_text(encoding="utf-8"))["distributed"]["comm"]
    assert set(told) <= set(default)
    for who in ("scheduler", "worker", "client"):
        assert set(told["tls"][who]) <= set(default["tls"][who])


def test_a_slurm_job_is_one_worker_with_one_thread_and_a_notebooks_memory():
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue: the course does not need it")
    spec = importlib.util.spec_from_file_location("course_slurm", FOLDER / "slurm.py")
    slurm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slurm)
    with slurm.cluster("teaching", None, 3) as workers:
        script = workers.job_script()
    told = dict(re.findall(r"^#SBATCH (-\S+?)[ =](\S+)$", script, re.MULTILINE))
    assert told["-p"] == "teaching"
    assert told["-t"] == "03:00:00"
    assert told["--cpus-per-task"] == "1"
    assert int(told["--mem"].removesuffix("G")) << 30 > Limits().memory
    assert "--nthreads 1" in script
    assert "OMP_NUM_THREADS=1" in script
