"""Kelu's rules hold for every sentence, the parts share nothing, and batches say what is padding."""

import pytest
import torch

from source.translation import (
    ADJECTIVES,
    END,
    IDS,
    MANY,
    NUMBERS,
    OBJECT,
    PAD,
    PARTS,
    PAST,
    PLURALS,
    SOURCE_WORDS,
    TARGET_WORDS,
    VERBS,
    WORDS,
    aligned,
    collate,
    decode,
    encode,
    exact,
    pairs,
)


def test_the_same_seed_gives_the_same_sentences_everywhere():
    first = pairs(2, seed=0)[1]
    assert pairs(2, seed=0)[1] == first
    assert pairs(2, seed=1)[1] != first
    assert " ".join(first.source) == "three dogs saw the two birds"
    assert " ".join(first.target) == "to bauk tir kiri du za ka lomu"


def test_every_word_stands_once_in_the_vocabulary():
    assert len(set(WORDS)) == len(WORDS)
    assert not set(SOURCE_WORDS) & set(TARGET_WORDS)
    assert (IDS["<pad>"], IDS["</s>"]) == (PAD, END)


def test_every_word_of_both_languages_occurs_in_training():
    seen = {word for p in pairs(3000, seed=0) for word in (*p.source, *p.target)}
    assert seen == set(SOURCE_WORDS) | set(TARGET_WORDS)


@pytest.mark.parametrize("part", PARTS)
def test_kelus_rules_hold(part):
    past = {forms[2] for forms in VERBS} | {"did"}
    for p in pairs(300, seed=7, part=part):
        assert p.target.count(OBJECT) == 1
        verb = p.target[-2] if "not" in p.source else p.target[-1]
        assert verb in VERBS.values()
        assert (p.target[0] == PAST) == bool(past & set(p.source))
        assert p.target.count("za") == p.source.count("the")
        # "many" is said of every plural without a number.
        plurals = sum(word in PLURALS.values() for word in p.source)
        assert p.target.count(MANY) == plurals - sum(word in NUMBERS for word in p.source)


def test_a_sentence_with_one_translation_has_no_other():
    known = {}
    for p in pairs(3000, seed=2):
        assert known.setdefault(p.source, p.target) == p.target


def test_links_join_words_that_mean_the_same():
    for p in pairs(200, seed=3):
        assert len({t for t, _ in p.links}) == len(p.target) - 1  # all but "ka"
        for t, s in p.links:
            if p.source[s] in ADJECTIVES:
                assert p.target[t] == ADJECTIVES[p.source[s]]


def test_the_parts_share_no_sentence_and_hold_what_they_promise():
    drawn = {part: pairs(800, seed=4, part=part) for part in PARTS}
    trained = {p.source for p in drawn["train"]}
    for part in PARTS[1:]:
        assert not trained & {p.source for p in drawn[part]}

    singular = {plural: noun for noun, plural in PLURALS.items()}

    def stands(p):
        # Adjectives, each with the noun behind it.
        both = list(zip(p.source, p.source[1:], strict=False))
        return {(a, singular.get(noun, noun)) for a, noun in both if a in ADJECTIVES and noun not in ADJECTIVES}

    seen = set().union(*(stands(p) for p in drawn["train"]))
    assert all(stands(p) - seen for p in drawn["new pairs"])
    for p in drawn["two adjectives"]:
        assert any(a in ADJECTIVES and b in ADJECTIVES for a, b in zip(p.source, p.source[1:], strict=False))
    with pytest.raises(ValueError, match="choose one of"):
        pairs(1, seed=0, part="test")


def test_a_batch_says_what_is_padding():
    some = pairs(5, seed=5)
    ids, real, labels = collate(some)
    assert real.sum(1).tolist() == [len(p.source) + 1 for p in some]
    assert torch.equal(ids == PAD, ~real)
    for row, words, p in zip(ids, labels, some, strict=True):
        assert decode(row) == list(p.source)
        assert words[words >= 0].tolist() == encode(p.target)
        assert (words[len(p.target) + 1 :] == -100).all()
    with pytest.raises(ValueError, match="at least one"):
        collate([])


def test_only_whole_sentences_count_as_exact():
    some = pairs(4, seed=6)
    _, _, labels = collate(some)
    words = labels.where(labels >= 0, PAD)
    assert exact(words, some) == 1
    words[0, 0], words[1, len(some[1].target)] = IDS["ne"], IDS["ne"]  # one wrong word, and one without an end
    assert exact(words, some) == 0.5


def test_alignment_is_the_weight_on_the_true_word():
    some = pairs(3, seed=7)
    ids, _, labels = collate(some)
    perfect = torch.zeros(3, labels.shape[1], ids.shape[1])
    for b, p in enumerate(some):
        for t, s in p.links:
            perfect[b, t, s] = 1
    assert aligned(perfect, some) == 1
    assert aligned(torch.full_like(perfect, 0.1), some) == pytest.approx(0.1)
