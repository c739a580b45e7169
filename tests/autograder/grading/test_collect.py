"""Taking in hand-ins: folders, archives, platforms' downloads, and what must not be taken from them."""

import io
import stat
import zipfile
from datetime import datetime

import nbformat
import pytest
from rooms import CHAPTER, SHORT

from autograder.grading import archives, names
from autograder.grading.collect import CannotCollect, collect
from autograder.paths import ROOT

WHEN = (2026, 3, 1, 12, 0, 0)


def zipped(files: dict[str, bytes], when: tuple = WHEN) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, when), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@pytest.fixture
def notebook(room) -> bytes:
    return nbformat.writes(room.notebook(right=1)).encode()


def submitted(room) -> dict[str, bytes]:
    root = room.path / "submitted"
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*.ipynb")}


def test_a_folder_of_archives_and_of_folders(room, notebook, tmp_path):
    name = f"{room.lab.stem}.ipynb"
    path = tmp_path / "in"
    (path / "Zoë O'Brien").mkdir(parents=True)
    (path / "Zoë O'Brien" / name).write_bytes(notebook)
    (path / f"{CHAPTER}_jane.zip").write_bytes(zipped({name: notebook, "timestamp.txt": b"1999-01-01"}))
    (path / "notes.txt").write_text("not a hand-in")
    (path / "link").symlink_to("/etc")
    done = collect(SHORT, path)
    assert done.taken == {"Zoë O'Brien": [name], "jane": [name]}
    assert set(submitted(room)) == {f"jane/{CHAPTER}/{name}", f"Zoë O'Brien/{CHAPTER}/{name}"}
    told = dict(done.skipped)
    assert "whose" in told["notes.txt"]
    assert "link" in told["link"]
    assert (room.path / "downloaded" / CHAPTER / "extracted").is_dir()
    assert not (ROOT / room.path.relative_to("/")).exists()
    # A time of the student's own is not taken.
    assert "1999" not in (room.path / "submitted" / "jane" / CHAPTER / "timestamp.txt").read_text()


def test_one_students_own_archive(room, notebook, tmp_path):
    file = tmp_path / f"{CHAPTER}_jane.zip"
    file.write_bytes(zipped({f"{room.lab.stem}.ipynb": notebook}))
    assert list(collect(SHORT, file).taken) == ["jane"]


def test_canvas_and_moodle(room, notebook, tmp_path):
    stem = room.lab.stem
    canvas = tmp_path / "submissions.zip"
    inner = zipped({f"{stem}.ipynb": notebook})
    files = {
        f"doejane_1234_567890_{CHAPTER}_jane.zip": inner,
        f"doejohn_LATE_1235_567891_{stem}-1.ipynb": notebook,
    }
    canvas.write_bytes(zipped(files))
    assert collect(SHORT, canvas).taken == {"1234": [f"{stem}.ipynb"], "1235": [f"{stem}.ipynb"]}
    written = (room.path / "submitted" / "1234" / CHAPTER / "timestamp.txt").read_text()
    assert written.startswith("2026-03-01") or written.startswith("2026-02-28")
    moodle = tmp_path / "moodle.zip"
    files = {
        f"Jane Doe_77_assignsubmission_file_/{CHAPTER}_jane.zip": inner,
        f"Kim Lee_78_assignsubmission_file_/{stem}.ipynb": notebook,
    }
    moodle.write_bytes(zipped(files))
    assert set(collect(SHORT, moodle).taken) == {"77", "78"}
    room.grade()
    from autograder.grading.export import export

    rows = export(SHORT, "moodle").splitlines()
    assert any(row.startswith('Participant 77,"Doe, Jane",') for row in rows)
    assert any(row.split(",")[1] == "1234" for row in export(SHORT, "canvas").splitlines())


def test_the_latest_of_several_counts(room, notebook, tmp_path):
    name = f"{room.lab.stem}.ipynb"
    whole = nbformat.writes(room.notebook()).encode()
    path = tmp_path / "all.zip"
    early, late = zipped({name: notebook}), zipped({name: whole})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{CHAPTER}_jane.zip", (2026, 3, 2, 12, 0, 0)), late)
        archive.writestr(zipfile.ZipInfo(f"{CHAPTER}_jane (1).zip", (2026, 3, 1, 12, 0, 0)), early)
    done = collect(SHORT, path)
    assert list(submitted(room).values()) == [whole]
    assert any("again later" in why for _, why in done.skipped)


def test_what_leads_out_or_is_too_much_is_left(room, notebook, tmp_path):
    name = f"{room.lab.stem}.ipynb"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../outside.ipynb", notebook)
        archive.writestr("/absolute.ipynb", notebook)
        archive.writestr("..\\windows.ipynb", notebook)
        archive.writestr("bomb.ipynb", b"0" * (50 << 20))
        link = zipfile.ZipInfo("link.ipynb", WHEN)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr(name, notebook)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{CHAPTER}_jane.zip").write_bytes(out.getvalue())
    (tmp_path / "in" / f"{CHAPTER}_....zip").write_bytes(zipped({name: notebook}))
    (tmp_path / "in" / "broken.zip").write_bytes(b"PK no zip")
    done = collect(SHORT, tmp_path / "in")
    assert done.taken == {"jane": [name]}
    assert list(submitted(room)) == [f"jane/{CHAPTER}/{name}"]
    assert not list(tmp_path.rglob("outside.ipynb"))
    told = " ".join(why for _, why in done.skipped)
    for why in ("leads out", "link", "times its size", "no zip"):
        assert why in told


def test_nothing_to_take_is_said(room, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CannotCollect, match="no notebook"):
        collect(SHORT, tmp_path / "empty")
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(CannotCollect, match="no zip"):
        collect(SHORT, tmp_path / "x.zip")


def test_names():
    def owner(text):
        from pathlib import PurePosixPath

        found = names.owner(PurePosixPath(text), "ch01_x")
        return (found.student, str(found.rest)) if found else None

    assert owner("ch01_x_jane.zip") == ("jane", "ch01_x_jane.zip")
    assert owner("ch01_x_jane_doe.zip") == ("jane_doe", "ch01_x_jane_doe.zip")
    assert owner("jane/a.ipynb") == ("jane", "a.ipynb")
    assert owner("doejane_12_34_a.ipynb") == ("12", "a.ipynb")
    assert owner("Jane Doe_12_assignsubmission_file_/a.ipynb") == ("12", "a.ipynb")
    assert owner("a.ipynb") is None
    assert owner(".hidden/a.ipynb") is None
    assert owner("a[b]*/a.ipynb") is None
    assert names.notebook_name("lab (2).ipynb", ["lab"]) == "lab.ipynb"
    assert names.notebook_name("lab-2.ipynb", ["lab-2"]) == "lab-2.ipynb"


def test_a_zips_claim_about_a_size_is_not_believed():
    data = bytearray(zipped({"a.ipynb": b"x" * 1000}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    entries = list(archives.of_zip(bytes(data)))
    assert all(len(entry.data) <= 11 or entry.refused for entry in entries)
    assert isinstance(next(iter(archives.of_zip(zipped({"a": b"x"})))).when, datetime)
