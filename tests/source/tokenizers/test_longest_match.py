"""The whole tokenizer: round trips, unknown characters, specials by permission."""

from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.longest_match import LongestMatchTokenizer

SPECIALS = ["<unk>", "<eos>"]
LETTERS = "<eos> abn"
TOKENS = [*SPECIALS, *LETTERS, "ab", "ban", "<e", "os>"]


@given(st.text(LETTERS, max_size=30), st.booleans())
def test_a_text_of_known_characters_comes_back(text, allowed):
    tokenizer = LongestMatchTokenizer(TOKENS, SPECIALS)
    assert tokenizer.decode(tokenizer.encode(text, ["<eos>"] if allowed else [])) == text


@given(st.text("<eos>unk", max_size=30))
def test_no_text_forges_a_special(text):
    assert not {0, 1} & set(LongestMatchTokenizer([*TOKENS, "u", "k"], SPECIALS).encode(text))


def test_each_unknown_character_is_one_unknown_token():
    tokenizer = LongestMatchTokenizer(["<unk>", "a", "ab"], ["<unk>"])
    assert tokenizer.encode("??aba?") == [0, 0, 2, 1, 0]
    assert tokenizer.decode([0, 2]) == "<unk>ab"
