"""The course's tokenizer: its files belong together, it loses nothing, transformers gives the same ids."""

import hashlib

from source.corpus import shakespeare
from source.files import data_path
from source.tokenizers.shipped import course_tokenizer

TEXT = shakespeare("validation")[:20_000]


def test_it_has_2048_ids_and_the_last_ends_a_text():
    tokenizer = course_tokenizer()
    assert tokenizer.vocab_size == 2048
    assert tokenizer.specials == {"<|endoftext|>": 2047}


def test_text_comes_back_in_a_third_of_its_length():
    ids = course_tokenizer().encode(TEXT)
    assert course_tokenizer().decode(ids) == TEXT
    assert len(ids) < 0.37 * len(TEXT)


def test_what_the_corpus_lacks_comes_back_too():
    odd = "naïve – 我 🙂\x00"
    assert course_tokenizer().decode(course_tokenizer().encode(odd)) == odd


def test_transformers_reads_the_folder_and_gives_the_same_ids():
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(data_path("tokenizer/tokenizer.json").parent)
    assert theirs.encode(TEXT) == course_tokenizer().encode(TEXT)


def test_the_file_is_the_cards():
    card = data_path("tokenizer/card.md").read_text(encoding="utf-8")
    assert hashlib.sha256(data_path("tokenizer/tokenizer.json").read_bytes()).hexdigest() in card
