"""The course's tokenizer: GPT-2's ids as two libraries give them, streams, training, and what transformers reads."""

import codecs
import json
import pickle

import pytest
import tokenizers
from gpt2_references import gpt2_files, in_tiktoken, in_tokenizers, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from source.tokenizers import byte_level
from source.tokenizers.byte_alphabet import bytes_to_unicode
from source.tokenizers.byte_level import END_OF_TEXT, ByteLevelBPE
from source.tokenizers.byte_level_naive import Tokenizer

GPT2 = ByteLevelBPE.gpt2()
ids_of_any_kind = st.lists(st.integers(0, 50256), max_size=30)
SAMPLE = (
    "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\nIt's naïve, isn't it?  "
    "Grüße und Küsse; 你好，世界。 нет! 1987 and 2024\n" * 3
)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_ids_are_tiktokens_and_hugging_faces_for_any_text(text):
    ids = GPT2.encode(text)
    assert ids == in_tiktoken().encode_ordinary(text)
    assert ids == in_tokenizers().encode(text).ids
    assert GPT2.decode(ids) == text


@settings(max_examples=200, deadline=None)
@given(texts)
def test_ids_with_the_special_allowed_are_both_libraries(text):
    ids = GPT2.encode(text, allowed_special={END_OF_TEXT})
    assert ids == in_tiktoken().encode(text, allowed_special={END_OF_TEXT})
    assert ids == in_tokenizers(specials=True).encode(text).ids
    assert ids == GPT2.encode(text, allowed_special="all")
    assert GPT2.decode(ids) == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("abyné"), min_size=1, max_size=80))
def test_one_word_has_the_ids_that_it_has_in_tiktoken(word):
    assert list(GPT2.encode_word(word)) == in_tiktoken().encode_ordinary(word)


def test_a_word_of_a_hundred_thousand_letters_takes_no_quadratic_time():
    for word in ("a" * 100_000, "abcdefg" * 15_000, "é" * 50_000):
        ids = GPT2.encode(word)
        assert ids == in_tokenizers().encode(word).ids
        assert GPT2.decode(ids) == word


def test_ids_to_check_by_hand():
    assert GPT2.encode("Hello, world") == [15496, 11, 995]
    assert GPT2.encode("") == []
    assert GPT2.encode(END_OF_TEXT) == [27, 91, 437, 1659, 5239, 91, 29]
    assert GPT2.encode(END_OF_TEXT, allowed_special="all") == [50256]
    assert GPT2.vocab_size == 50257
    assert GPT2.specials == {END_OF_TEXT: 50256}


def test_of_two_specials_that_begin_alike_the_longer_is_found():
    vocab, merges = gpt2_files()
    specials = [END_OF_TEXT, "<|x|>", "<|x|>!"]
    made = ByteLevelBPE({**vocab, "<|x|>": 50257, "<|x|>!": 50258}, merges, specials)
    assert made.encode("a<|x|>!b<|x|>", allowed_special=["<|x|>", "<|x|>!"]) == [64, 50258, 65, 50257]
    assert made.encode("a<|x|>!", allowed_special={"<|x|>"}) == [64, 50257, 0]
    assert made.decode([64, 50258, 65]) == "a<|x|>!b"


@pytest.mark.parametrize("allowed", ["<|nothing|>", ["<|nothing|>"], END_OF_TEXT[:-1]])
def test_an_unknown_special_is_named(allowed):
    with pytest.raises(ValueError, match="is no special of this tokenizer"):
        GPT2.encode("text", allowed_special=allowed)


def test_one_special_may_be_given_as_a_string():
    assert GPT2.encode(f"a{END_OF_TEXT}", allowed_special=END_OF_TEXT) == [64, 50256]


@pytest.mark.parametrize("text", ["\ud83d", "half \ude00", "\ud83d\ude42", "ok\udcff"])
def test_a_surrogate_is_refused_and_the_message_mends_it(text):
    with pytest.raises(ValueError, match="surrogate pair") as caught:
        GPT2.encode(text)
    mend = 'text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")'
    assert mend in str(caught.value)
    mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert GPT2.encode(mended) == in_tiktoken().encode_ordinary(text)  # tiktoken mends without a word


@given(ids_of_any_kind)
def test_any_ids_decode_as_in_tiktoken(ids):
    assert GPT2.decode_bytes(ids) == in_tiktoken().decode_bytes(ids)
    assert GPT2.decode(ids) == in_tiktoken().decode(ids)


@pytest.mark.parametrize("ids", [[50257], [-1], [0, 99999]])
def test_an_id_that_there_is_not_is_named(ids):
    with pytest.raises(ValueError, match="is not among the ids 0 to 50256"):
        GPT2.decode(ids)


@given(ids_of_any_kind)
def test_a_stream_says_what_decoding_at_once_says(ids):
    stream = GPT2.stream()
    assert "".join([*map(stream.push, ids), stream.end()]) == GPT2.decode(ids)


@given(texts)
@settings(max_examples=100, deadline=None)
def test_a_stream_holds_back_only_an_unfinished_character(text):
    stream, said, data = GPT2.stream(), "", b""
    for i in GPT2.encode(text):
        said += stream.push(i)
        data += GPT2.decode_bytes([i])
        assert said == codecs.utf_8_decode(data, "strict", False)[0]
    assert stream.end() == ""


def test_a_stream_starts_anew_after_its_end():
    first, *rest = GPT2.encode("你")
    stream = GPT2.stream()
    assert rest
    assert stream.push(first) == ""
    assert stream.end() == "\ufffd"
    assert "".join(map(stream.push, GPT2.encode("ok 你"))) == "ok 你"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab é \n'"), max_size=12), max_size=6), st.integers(257, 300))
def test_training_learns_what_hugging_faces_trainer_learns(corpus, vocab_size):
    ours = ByteLevelBPE.train(corpus, vocab_size)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator(
        corpus,
        tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size - 1, show_progress=False, initial_alphabet=sorted(bytes_to_unicode().values())
        ),
    )
    # Both number the bytes in the order of their characters; ours has the special behind the merges.
    assert {t: i for t, i in ours._vocab.items() if t != END_OF_TEXT} == theirs.get_vocab()
    assert ours.specials == {END_OF_TEXT: ours.vocab_size - 1}
    assert [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]] == ours._spelled_merges


@pytest.fixture(scope="module")
def trained():
    return ByteLevelBPE.train([SAMPLE], 350, specials=("<|endoftext|>", "<|pad|>"))


def test_a_trained_tokenizer_has_the_size_that_was_asked_for_and_its_specials_last(trained):
    assert trained.vocab_size == 350
    assert trained.specials == {"<|endoftext|>": 348, "<|pad|>": 349}
    assert trained.decode(trained.encode(SAMPLE)) == SAMPLE
    assert len(trained.encode(SAMPLE)) < 0.6 * len(SAMPLE.encode())


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_the_fast_tokenizer_and_its_naive_twin_agree(trained, text):
    ranks = {pair: rank for rank, pair in enumerate(trained._spelled_merges)}
    naive = Tokenizer(trained._vocab, ranks, list(trained.specials))
    assert trained.encode(text) == naive.encode(text)
    assert trained.encode(text, "all") == naive.encode(text, list(trained.specials))


def test_a_text_with_nothing_left_to_merge_gives_a_smaller_vocabulary():
    assert ByteLevelBPE.train(["ab"], 300).vocab_size == 258
    assert ByteLevelBPE.train([], 257).encode("ab") == [64, 65]


def test_bad_requests_to_train_are_refused():
    with pytest.raises(ValueError, match="256 bytes and 1 specials need 257"):
        ByteLevelBPE.train(["a"], 256)
    with pytest.raises(TypeError, match="give a list of texts"):
        ByteLevelBPE.train("a text", 300)
    with pytest.raises(ValueError, match="cannot be a special"):
        ByteLevelBPE.train(["the the the"], 300, specials=("the",))
    with pytest.raises(ValueError, match="surrogate"):
        ByteLevelBPE.train(["\ud800"], 300)


def test_save_and_load_give_the_same_tokenizer(trained, tmp_path):
    trained.save(tmp_path / "new" / "folder")
    again = ByteLevelBPE.load(tmp_path / "new" / "folder")
    assert again._vocab == trained._vocab
    assert again.specials == trained.specials
    assert again.encode(SAMPLE, "all") == trained.encode(SAMPLE, "all")


@pytest.mark.parametrize("name", ["gpt2", "trained"])
def test_transformers_loads_what_was_saved_and_gives_the_same_ids(name, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import transformers

    ours = GPT2 if name == "gpt2" else trained
    ours.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(theirs, transformers.PreTrainedTokenizerFast)
    assert len(theirs) == ours.vocab_size
    assert theirs.eos_token_id == ours.specials[END_OF_TEXT]
    for text in (SAMPLE, " lead", "x  \n", f"a{END_OF_TEXT}b {END_OF_TEXT}", "", "👩\u200d🚀 e\u0301"):
        ids = ours.encode(text, "all")
        assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids) == text


def test_a_file_that_hugging_face_saved_is_loaded(tmp_path):
    theirs = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False)
    theirs.train_from_iterator([SAMPLE], vocab_size=300, special_tokens=["<s>", "<pad>"], show_progress=False)
    theirs.save_model(str(tmp_path))
    ours = ByteLevelBPE.load(tmp_path)
    assert ours.specials == {"<s>": 0, "<pad>": 1}  # their specials come first
    assert ours.encode(SAMPLE) == theirs.encode(SAMPLE).ids


def test_what_does_not_belong_together_is_refused():
    vocab, merges = gpt2_files()
    with pytest.raises(ValueError, match="lacks"):
        ByteLevelBPE({"a": 0}, [])
    with pytest.raises(ValueError, match="of two tokenizers"):
        ByteLevelBPE(vocab, merges[:-1])
    with pytest.raises(ValueError, match="grow with the merges' order"):
        ByteLevelBPE(vocab, merges[::-1])
    with pytest.raises(ValueError, match="each once"):
        ByteLevelBPE({**vocab, END_OF_TEXT: 0}, merges)


def test_the_cache_stops_growing_when_it_is_full(monkeypatch):
    monkeypatch.setattr(byte_level, "REMEMBERED", 3)
    made = ByteLevelBPE.train([SAMPLE], 300)
    words = SAMPLE * 2
    assert made.encode(words) == ByteLevelBPE.train([SAMPLE], 300).encode(words)
    assert len(made._words) == 3
    made = ByteLevelBPE.train([], 257)
    made.encode("a" * 65)
    assert not made._words


def test_a_tokenizer_can_be_sent_to_another_process(trained):
    again = pickle.loads(pickle.dumps(trained))
    assert again.encode(SAMPLE + " new words") == trained.encode(SAMPLE + " new words")
