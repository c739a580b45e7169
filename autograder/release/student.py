"""From a release notebook to the launch-ready one: set-up cell that installs the course, accelerator metadata."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder import registry
from autograder.facts import Lab, chapter_of, repository
from autograder.paths import NOTEBOOKS, RELEASE

# What public notebooks on the two platforms carry.
COLAB = {
    "cpu": {},
    "gpu": {"accelerator": "GPU", "colab": {"gpuType": "T4"}},
    "tpu": {"accelerator": "TPU", "colab": {"gpuType": "V5E1"}},
}
KAGGLE = {"cpu": ("none", False), "gpu": ("nvidiaTeslaT4", True), "tpu": ("tpuV5e8", False)}


def setup_cell() -> str:
    """The three lines at the head of every lab. Nothing that the platform brought is replaced: --no-deps."""
    url, branch = repository()
    return "\n".join(
        [
            f'import importlib.util as found, subprocess, sys; course = "git+{url}@{branch}"',
            'found.find_spec("autograder") or subprocess.call([sys.executable, "-m", "pip", "install", "-q", '
            '"--no-deps", course]) and print("Not installed. Is the internet on? By hand: pip install", course)',
            "from autograder import setup; device = setup()",
        ]
    )


def metadata(lab: Lab) -> dict:
    """Notebook metadata of a launch-ready lab: kernel, accelerator for both platforms, the course's facts."""
    chapter = chapter_of(lab.id)
    accelerator, gpu = KAGGLE[lab.hardware]
    facts = {
        "id": lab.id,
        "title": lab.title,
        "level": lab.level,
        "minutes": lab.minutes,
        "hardware": lab.hardware,
        "builds": lab.builds,
        "goals": list(lab.goals),
        "needs": list(lab.needs),
        "chapter": {"folder": chapter.folder, "number": chapter.number, "title": chapter.title, "part": chapter.part},
    }
    return {
        **COLAB[lab.hardware],
        "course": facts,
        "kaggle": {
            "accelerator": accelerator,
            "isGpuEnabled": gpu,
            "isInternetEnabled": True,
            "language": "python",
            "sourceType": "notebook",
        },
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def launch_ready(release: NotebookNode, lab: Lab) -> str:
    """The text of the student notebook."""
    first = next(c for c in release.cells if c.cell_type == "code")
    first.source = setup_cell()
    release.metadata = nbformat.from_dict(metadata(lab))
    return nbformat.writes(release, sort_keys=True) + "\n"


def write_student(chapter: str, release: Path = RELEASE, student: Path = NOTEBOOKS / "student") -> list[Path]:
    """Write a chapter's student notebooks; returns those that changed. Notebooks without a source are removed."""
    changed, current = [], set()
    for file in sorted((release / chapter).glob("lab*.ipynb")):
        lab_id = registry.lab_id(chapter, file.stem)
        lab = next(one for one in chapter_of(lab_id).labs if one.id == lab_id)
        text = launch_ready(nbformat.read(file, as_version=4), lab)
        target = student / chapter / file.name
        current.add(target)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            changed.append(target)
    for old in set((student / chapter).glob("lab*.ipynb")) - current:
        old.unlink()
        changed.append(old)
    return changed
