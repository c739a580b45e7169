"""Reads files out of folders and zips that strangers made. What leads out or is too much is left, with a reason."""

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path, PurePosixPath

# A class's bulk download, the files in one archive, and how much larger than its zip a file may be.
TOTAL = 4 << 30
FILES = 20_000
RATIO = 200
FILE = 64 << 20


class Refused(ValueError):
    """A whole archive cannot be read; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One file: its path inside, when it was last changed (UTC), and its bytes; or why it was left."""

    path: PurePosixPath
    when: datetime | None = None
    data: bytes = b""
    refused: str = ""


def of_folder(folder: Path) -> Iterator[Entry]:
    """Every file below a folder. Links are not followed."""
    for file in sorted(folder.rglob("*")):
        path = PurePosixPath(*file.relative_to(folder).parts)
        if file.is_symlink():
            yield Entry(path, refused="it is a link")
        elif file.is_file():
            told = file.stat()
            when = datetime.fromtimestamp(int(told.st_mtime), UTC).replace(tzinfo=None)
            if told.st_size > (FILE if file.suffix != ".zip" else TOTAL):
                yield Entry(path, when, refused=f"it is too large ({told.st_size >> 20} MB)")
            else:
                yield Entry(path, when, file.read_bytes())


def of_zip(source: Path | bytes) -> Iterator[Entry]:
    """Every file of a zip. Raises Refused where it is no zip that can be read."""
    try:
        archive = zipfile.ZipFile(BytesIO(source) if isinstance(source, bytes) else source)
        infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f"it is no zip that can be read: {error}") from error
    if len(infos) > FILES:
        raise Refused(f"it holds {len(infos)} files; at most {FILES} are read")
    left = TOTAL
    with archive:
        for info in infos:
            if info.is_dir():
                continue
            path = PurePosixPath(info.filename.replace("\\", "/"))
            when = _when(info)
            if refused := _refused(info, path, left):
                yield Entry(PurePosixPath(path.name or "?"), when, refused=refused)
                continue
            try:
                # The sizes in a zip's index are claims: no more is read than was claimed.
                with archive.open(info) as opened:
                    data = opened.read(info.file_size + 1)
            except Exception as error:  # damaged entries raise many kinds
                yield Entry(path, when, refused=f"it cannot be read: {error}")
                continue
            left -= len(data)
            yield Entry(path, when, data)


def _refused(info: zipfile.ZipInfo, path: PurePosixPath, left: int) -> str:
    mode = info.external_attr >> 16
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\0" in info.filename:
        return f"its path leads out of the archive: {info.filename!r}"
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a link or a special file"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.file_size > (FILE if path.suffix != ".zip" else TOTAL) or info.file_size > left:
        return f"it is too large ({info.file_size >> 20} MB)"
    if info.file_size > 1 << 20 and info.file_size > RATIO * max(info.compress_size, 1):
        return f"it unpacks to {info.file_size // max(info.compress_size, 1)} times its size"
    return ""


def _when(info: zipfile.ZipInfo) -> datetime | None:
    # A zip holds local time without its zone; 1980 stands for none.
    if info.date_time[0] <= 1980:
        return None
    try:
        return datetime(*info.date_time).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
