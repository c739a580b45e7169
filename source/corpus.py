"""The course's text: Shakespeare's plays, shipped; or tiny_shakespeare, fetched or copied. It makes no tokens.

The shipped text is made by `python -m source.prepare_corpus`; data/shakespeare/card.md says what it is.
"""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from source.files import data_path

PARTS = ("train", "validation")

TINY_ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
TINY_BYTES = 1_115_394
TINY_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class WrongText(ValueError):
    """A file is not the text that it should be; the message says which file, and what to do."""


def shakespeare(part: str) -> str:
    """The course's plays, "train" or "validation": whole plays, each in one part only.

    A speech is the speaker's name with a colon, then its lines; an empty line stands between two speeches.
    Raises ValueError for another part, FileNotFoundError when this copy of the course lacks the file.
    """
    _known(part)
    return data_path(f"shakespeare/{part}.txt").read_text(encoding="utf-8")


def speeches(text: str) -> list[str]:
    """The speeches of a text, in order, without the empty lines between them."""
    return [speech for speech in text.strip("\n").split("\n\n") if speech]


def tiny_shakespeare(part: str, copy: str | Path | None = None) -> str:
    """Karpathy's tiny_shakespeare, "train" or "validation", cut where nanoGPT cuts it: so losses can be compared.

    copy: a file that holds the text; None takes the one kept from last time, or fetches it once (1.1 MB, from the
    address in TINY_ADDRESS) and keeps it in the cache folder. Whatever its source, its SHA-256 is verified.
    The first 90% of characters are the training part. Unlike the course's own split, the cut runs through a play.
    Raises ValueError for another part, WrongText for a file that differs, ConnectionError when it cannot be fetched.
    """
    _known(part)
    text = _verified(Path(copy) if copy is not None else _kept()).decode("ascii")
    end = int(len(text) * 0.9)
    return text[:end] if part == "train" else text[end:]


def cache_folder() -> Path:
    """Where fetched files are kept: $COURSE_CACHE, or transformer-systems in the user's cache folder."""
    if told := os.environ.get("COURSE_CACHE"):
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer-systems"


def _known(part: str) -> None:
    if part not in PARTS:
        raise ValueError(f"no part {part!r}: choose one of {', '.join(PARTS)}")


def _verified(file: Path) -> bytes:
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != TINY_SHA256:
        raise WrongText(
            f"{file} is not tiny_shakespeare: {len(data):,} bytes with SHA-256 {digest}, expected {TINY_BYTES:,} bytes "
            f"with {TINY_SHA256}. A text editor may have changed its line ends; fetch it again from {TINY_ADDRESS}"
        )
    return data


def _kept() -> Path:
    file = cache_folder() / "tiny_shakespeare.txt"
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    try:
        with urllib.request.urlopen(TINY_ADDRESS, timeout=30) as answer:
            partial.write_bytes(answer.read(2 * TINY_BYTES))  # no more than twice what is expected
        _verified(partial)
        partial.replace(file)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionError(
            f"tiny_shakespeare cannot be fetched from {TINY_ADDRESS} ({error}). Without a network, give "
            "tiny_shakespeare(part, copy=FILE) a copy of it, or use the course's own text: shakespeare(part)"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return file
