"""nbgrader's configuration: where the folders lie, how an assignment is made. Plain nbgrader reads it too."""

from pathlib import Path

from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ComputeChecksums,
    LockCells,
    SaveCells,
)

from autograder.paths import INSTRUCTOR, RELEASE, ROOT, classroom
from autograder.release.preprocessors import AddGeneratedCells, ClearNamedSolutions

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "transformer-systems"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = str(INSTRUCTOR)
c.CourseDirectory.release_directory = str(RELEASE)
# Student data lies in one folder, outside the repository's history.
for step in ("submitted", "autograded", "feedback", "solution"):
    setattr(c.CourseDirectory, f"{step}_directory", str(classroom() / step))
c.CourseDirectory.db_url = f"sqlite:///{classroom() / 'gradebook.db'}"
# nbgrader copies whatever else lies beside a source notebook: the paired .py holds the solutions.
c.CourseDirectory.ignore = ["*.py", "*.toml", ".ipynb_checkpoints", "*.pyc", "__pycache__", ".*"]

c.GenerateAssignment.preprocessors = [
    AddGeneratedCells,
    LockCells,
    ClearNamedSolutions,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
]
# A learner who deleted a check cell gets it back.
c.OverwriteCells.add_missing_cells = True
c.Execute.timeout = 300

c.ZipCollectApp.downloaded_directory = str(classroom() / "downloaded")
# nbgrader joins the folder to the course's root before it fills it in: an absolute path must stand in the pattern.
downloaded = str(classroom() / "downloaded").replace("{", "{{").replace("}", "}}")
c.ZipCollectApp.collect_directory_structure = downloaded + "/{assignment_id}/{collect_step}"

# An instructor's own settings, a database server's address for instance.
if (classroom() / "nbgrader_config.py").exists():
    load_subconfig(str(classroom() / "nbgrader_config.py"), path=str(Path("/")))  # noqa: F821
