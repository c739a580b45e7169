"""The pretrained encoder where it is installed, and what stands in for it where it is not."""

import os

import pytest
import torch
from transformers import BertConfig, BertModel

from source.attention.against_torch import max_error
from source.models import minilm
from source.models.encoder import Encoder, from_huggingface, masked_mean, sizes_of

SENTENCES = ["A kitten sleeps on the sofa.", "The young cat naps on a couch.", "Interest rates rose again in March."]


@pytest.fixture(scope="module")
def real():
    try:
        return minilm.load()
    except FileNotFoundError as missing:
        if os.environ.get("COURSE_SKIP_NOTHING") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def encoder_of(read):
    model = Encoder(sizes_of(read.config))
    model.load_state_dict(from_huggingface(read.state))
    return model.eval()


def compared(read):
    """The worst difference to transformers at each layer, at real positions."""
    ids, keep, _ = read.tokenize(SENTENCES)
    bert = BertModel(BertConfig(**read.config, attn_implementation="eager"), add_pooling_layer=False).eval()
    told = bert.load_state_dict(read.state, strict=False)
    assert not told.missing_keys
    with torch.no_grad():
        ours = encoder_of(read)(ids, keep)
        theirs = bert(ids, attention_mask=keep.long(), output_hidden_states=True).hidden_states
    return [max_error(a[keep], b[keep]) for a, b in zip(ours, theirs, strict=True)]


def test_every_layer_of_the_pretrained_encoder_equals_transformers(real):
    assert len(errors := compared(real)) == 7
    assert max(errors) < 1e-4


def test_it_has_22_7_million_parameters_and_tells_like_from_unlike(real):
    model = encoder_of(real)
    assert round(sum(p.numel() for p in real.state.values() if p.is_floating_point()) / 1e6, 1) == 22.7
    ids, keep, words = real.tokenize(SENTENCES)
    assert words[0][0] == "[CLS]"
    assert words[0][-1] == "[SEP]"
    assert [len(row) for row in words] == keep.sum(dim=1).tolist()
    with torch.no_grad():
        unit = torch.nn.functional.normalize(masked_mean(model(ids, keep)[-1], keep), dim=-1)
    alike = unit @ unit.T
    assert alike[0, 1] > 0.5 > 0.2 > alike[0, 2]


def test_the_stand_in_is_read_the_same_way():
    read = minilm.untrained()
    assert max(compared(read)) < 1e-4
    ids, keep, words = read.tokenize(["One two.", ""])
    assert words == [["[CLS]", "one", "two", ".", "[SEP]"], ["[CLS]", "[SEP]"]]
    assert keep.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    assert ids[1].tolist() == [101, 102, 0, 0, 0]
    assert torch.equal(ids, minilm.untrained().tokenize(["One two.", ""])[0])


def test_without_the_package_it_is_said_what_to_install_and_a_random_one_stands_in(monkeypatch, capsys):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_of_anybody")
    with pytest.raises(FileNotFoundError, match=minilm.INSTALL):
        minilm.folder()
    assert minilm.load_or_untrained().name == "a random BERT"
    assert minilm.INSTALL in capsys.readouterr().out
