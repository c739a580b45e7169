"""Where the course's data files lie, in a clone or in an installed package. It finds files; it fetches nothing."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
# A clone has data/ beside source/; the built package carries the same folder as source/_data.
FOLDERS = (HERE.parent / "data", HERE / "_data")


def data_path(name: str) -> Path:
    """The path of a file of the course's data folder, such as "attention_heads/model.npz".

    Raises FileNotFoundError when no copy of the course here has it.
    """
    for folder in FOLDERS:
        if (folder / name).is_file():
            return folder / name
    looked = " or ".join(str(folder) for folder in FOLDERS)
    raise FileNotFoundError(
        f"the course's data has no file {name!r} (looked in {looked}). Check the name; if it is right, this copy of "
        "the course is incomplete or older than the lab: run `git pull` in a clone, or install the course again."
    )
