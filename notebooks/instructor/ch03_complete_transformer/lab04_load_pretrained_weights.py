# ---
# jupyter:
#   course:
#     title: Load Pretrained Weights
#     level: advanced
#     minutes: 75
#     hardware: cpu
#     builds: "GPT-2's weights in your own model: read from the file, renamed, turned, verified layer by layer."
#     goals:
#     - Read tensors out of a safetensors file with nothing but a file handle, and only those that you want
#     - Map another code base's names and layouts to your own, and report everything that does not fit
#     - Compare two models layer by layer, with a tolerance that allows rounding and nothing else
#     - Show that your model and Hugging Face's GPT-2 compute the same logits
#     needs:
#     - "[Pretrained Models](../../../book/ch03_complete_transformer/pretrained_models.md)"
#     - Lab 3.3, Decoder-Only Transformer
#     - Lab 2.4, Transformer Block (step 3)
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import io
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.attention.against_torch import max_error
from source.corpus import shakespeare
from source.files import data_path
from source.models import first_difference as comparing
from source.models import gpt as course
from source.models import gpt2_files
from source.models.decoder_steps import generate
from source.models.gpt import Sizes, shipped, sizes_of
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY

# %% tags=["given"]
# Your class GPT from lab 3.3 belongs here: paste it over the next line, with this import for its block:
# from source.blocks.gpt2_block import Block, causal_mask
# Until you do, the course's own stands in for it.
from source.models.gpt import GPT

# %% [markdown]
# ## A question first
#
# Loading somebody's weights is a translation. The bad kind of mistake in it is not the one that raises an error. Here are
# seven models with the shipped weights. Each loaded without a word, gives logits of the right shape, and has **one**
# thing wrong, except the first. Their losses on text that was held out:

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
T = shipped().sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()[: 64 * (T + 1)])).view(64, T + 1)


def exact_gelu(model):
    for block in model.blocks:
        layer = block.feed_forward
        layer.forward = lambda x, layer=layer: layer.W_out(F.gelu(layer.W_in(x)))


def other_eps(model):
    for part in model.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-6


def one_square_not_turned(model):
    weight = model.blocks[2].attention.W_o.weight
    weight.data = weight.data.T.clone()


def positions_from_one(model):
    model.position.weight.data = model.position.weight.data.roll(-1, dims=0)


def keys_and_values_swapped(model):
    C = model.sizes.width
    for name in ("weight", "bias"):
        tensor = getattr(model.blocks[1].attention.W_qkv, name)
        tensor.data = torch.cat([tensor.data[:C], tensor.data[2 * C :], tensor.data[C : 2 * C]])


def one_bias_lost(model):
    model.blocks[3].feed_forward.W_out.bias.data.zero_()


faults = {
    "nothing": lambda model: None,
    "GELU by erf": exact_gelu,
    "eps 1e-6": other_eps,
    "a bias left at zero": one_bias_lost,
    "a square matrix not turned": one_square_not_turned,
    "positions from one": positions_from_one,
    "keys and values swapped": keys_and_values_swapped,
}


def with_fault(damage):
    model = shipped().requires_grad_(False)
    damage(model)
    return model


with torch.no_grad():
    losses = {name: with_fault(damage)(held_out[:, :-1], held_out[:, 1:])[1].item() for name, damage in faults.items()}
fig, ax = plt.subplots(figsize=(7, 3.2))
places = np.arange(len(losses))[::-1]
ax.barh(places, losses.values(), 0.6)
for place, loss in zip(places, losses.values()):
    ax.text(loss + 0.03, place, f"{loss:.4f}", va="center", fontsize=9)
ax.axvline(np.log(256), color="gray", linestyle=":", label="guessing evenly")
ax.set_yticks(places, losses)
ax.set(xlabel="loss on held-out text (nats a byte)", ylabel="what is wrong", xlim=(0, 6.6))
ax.legend(loc="lower right", fontsize=9)
plt.show()

# %% [markdown]
# **Which of them would you notice without the first bar beside them?** A loss is one number over thousands of
# predictions, and it forgives. If your port of a model is "nearly as good" as its paper says, you do not know whether
# that is the data, the paper or a square matrix. In this lab you translate GPT-2's weights into your model, and you build
# the comparison that *names* the first wrong layer.
#
# Letters: `B` batch, `T` positions, `C` model width, `V` vocabulary, `L` layers.

# %% [markdown]
# ## Step 1. Read the file
#
# A `.safetensors` file is as plain as a file can be. There are three parts, one after the other:
#
# | bytes | what |
# |---|---|
# | 8 | the length $n$ of the header: an unsigned integer, lowest byte first ("little-endian") |
# | $n$ | the header, JSON: for every tensor its name, `dtype`, `shape` and `data_offsets`, first byte and end |
# | the rest | all numbers, nothing else; the offsets count **from the beginning of this part** |
#
# So one can read a single tensor of a huge file: read the header, jump to the place, read its bytes and no others. Here
# is the beginning of the file that the course ships:

# %% tags=["look"]
FILE = data_path("checkpoints/gpt2-bytes/model.safetensors")
beginning = FILE.open("rb").read(400)
print(beginning[:8], "=", int.from_bytes(beginning[:8], "little"))
print(beginning[8:].decode(), "...")

# %% [markdown]
# Write the reader. `file` is an open binary file: `file.read(n)` reads the next `n` bytes, `file.seek(place)` jumps to a
# byte counted from the beginning of the file. `__metadata__` is the one entry of the header that is no tensor. Whatever
# type the numbers were stored in, hand them back in float32, the type that your model computes in: float16 has 11 bits,
# and float32 holds each of its numbers exactly.

# %% tags=["given"]
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}

# %% nbgrader={"grade_id": "read_weights", "solution": true}
def read_weights(file, wanted: list[str] | None = None) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file, in float32.

    file: open for reading bytes, at its beginning. wanted: names of tensors, None = all of them. Of the data, only what
    is wanted is read. Returns {name: tensor}.

    >>> header = b'{"a": {"dtype": "F16", "shape": [1, 2], "data_offsets": [4, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    >>> data = torch.tensor([3.0]).numpy().tobytes() + torch.tensor([1.5, -2.0]).half().numpy().tobytes()
    >>> read_weights(io.BytesIO(len(header).to_bytes(8, "little") + header + data), ["a"])
    {'a': tensor([[ 1.5000, -2.0000]])}
    """
    ### BEGIN SOLUTION
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    weights = {}
    for name in header if wanted is None else wanted:
        first, end = header[name]["data_offsets"]
        file.seek(8 + size + first)
        data = torch.frombuffer(bytearray(file.read(end - first)), dtype=DTYPES[header[name]["dtype"]])
        weights[name] = data.reshape(header[name]["shape"]).float()
    return weights
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_read_weights", "grade": true}
check("ch03/lab04/read_weights", read_weights)

# %% [markdown]
# **Look at it.** All weights of the shipped model as you read them: their size in the file, and how large the numbers
# are. The dashed line is the smallest normal number of float16, in which they are stored; below it, digits are lost.

# %% tags=["given"]
reader = earlier("ch03/lab04/read_weights", read_weights, gpt2_files.read_weights)

# %% tags=["look"]
with FILE.open("rb") as file:
    found = reader(file)
everything = torch.cat([w.flatten() for w in found.values()])
print(f"{len(found)} tensors, {len(everything):,} numbers, {100 * (everything.abs() < 2**-14).float().mean():.2f}% of them "
      "below the dashed line")
kinds = {"embeddings": ("wte", "wpe"), "attention": ("attn",), "feed-forward": ("mlp",), "norms": ("ln_",)}
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
bins = np.logspace(-9, 1, 60)
for (kind, marks), colour, line in zip(kinds.items(), (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":")):
    chosen = [w for name, w in found.items() if any(mark in name for mark in marks)]
    left.barh(kind, sum(w.numel() for w in chosen) * 2 / 1e3, color=colour)
    values = torch.cat([w.flatten() for w in chosen]).abs().numpy()
    right.hist(values, bins=bins, histtype="step", color=colour, linestyle=line, label=kind, log=True)
left.set(xlabel="size in the file (kB)", ylabel="kind of weight")
right.axvline(2.0**-14, color="gray", linestyle="--")
right.set(xlabel="size of a number", ylabel="how many", xscale="log")
right.legend(fontsize=9, loc="upper left")
plt.show()

# %% [markdown]
# **Does it matter to those left of the dashed line?** They are smaller than a ten-thousandth. What they lose is in the eleventh binary digit and beyond of something that adds next to
# nothing. Training, where many small steps have to add up, is another matter: chapter 11.

# %% [markdown]
# ## Step 2. Their names and yours
#
# Here is one file, two lists. Two things to know beforehand. Hugging Face's `GPT2LMHeadModel` holds a `GPT2Model` as
# `transformer` and a head besides, so its names begin with `transformer.`; a file of the bare model, such as GPT-2's own
# on the hub, has the same names without it. And old files hold tensors that are **no weights**: `h.0.attn.bias` is a
# triangle of ones, the causal mask, and `h.0.attn.masked_bias` what stood for minus infinity.

# %% tags=["look"]
theirs = [name for name in found if "h.0." in name or ".h." not in name]
yours = [name for name in shipped().state_dict() if "blocks.0." in name or "blocks" not in name]
print(f"{'theirs':<44}yours")
for a, b in zip(sorted(theirs), sorted(yours)):
    print(f"{a:<44}{b}")

# %% [markdown]
# Write the translation of a single name. `h.7.` becomes `blocks.7.`, and so on for every part. What is no weight of your
# model becomes `None`: the two relics above, and `lm_head.weight`, which is the token embedding under another name. A
# name that is no name of GPT-2's comes back unchanged, so that the next step can complain about it.
#
# Mind how you recognise `attn.bias`: the name of a weight in the same block *ends* in these very letters.

# %% nbgrader={"grade_id": "our_name", "solution": true}
def our_name(theirs: str) -> str | None:
    """Your model's name for a tensor of GPT-2's, with "transformer." in front or without.

    Returns None for what is no weight of yours: the head, and each block's attn.bias and attn.masked_bias.
    A name that GPT-2 does not have is returned as it is.

    >>> our_name("transformer.h.11.mlp.c_fc.bias"), our_name("wte.weight")
    ('blocks.11.feed_forward.W_in.bias', 'token.weight')
    >>> our_name("h.3.attn.bias"), our_name("lm_head.weight"), our_name("h.3.attn.c_attn.bias")
    (None, None, 'blocks.3.attention.W_qkv.bias')
    >>> our_name("transformer.h.0.ln_3.weight")
    'transformer.h.0.ln_3.weight'
    """
    ### BEGIN SOLUTION
    names = {"wte": "token", "wpe": "position", "ln_f": "last_norm", "ln_1": "norm1", "ln_2": "norm2"}
    names |= {"attn.c_attn": "attention.W_qkv", "attn.c_proj": "attention.W_o"}
    names |= {"mlp.c_fc": "feed_forward.W_in", "mlp.c_proj": "feed_forward.W_out"}
    bare = theirs.removeprefix("transformer.")
    if re.fullmatch(r"lm_head\.weight|h\.\d+\.attn\.(masked_)?bias", bare):
        return None
    found = re.fullmatch(r"(?:h\.(\d+)\.(ln_1|ln_2|attn\.c_\w+|mlp\.c_\w+)|(wte|wpe|ln_f))\.(weight|bias)", bare)
    if not found or (found[2] or found[3]) not in names or bare in ("wte.bias", "wpe.bias"):
        return theirs
    block = f"blocks.{found[1]}." if found[1] else ""
    return f"{block}{names[found[2] or found[3]]}.{found[4]}"
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_our_name", "grade": true}
check("ch03/lab04/our_name", our_name)

# %% [markdown]
# ## Step 3. Every weight in its place, or a complaint
#
# Now the tensors. GPT-2's linear layers are of a class `Conv1D` and compute `x @ weight + bias`, so they store
# `(inputs, outputs)`; `nn.Linear` stores `(outputs, inputs)`. Four matrices of each block have to be turned:
# `attn.c_attn`, `attn.c_proj`, `mlp.c_fc`, `mlp.c_proj`. Embeddings and norms stay as they are. **Decide by the name.** A
# function that turns a matrix when its shape does not fit works for three of the four, and leaves the square one lying on
# its side.
#
# Then the complaints. `load_state_dict` stops at whatever it dislikes and says it in your names; and it cannot know what
# you dropped on the way. You want the whole list:
#
# - `("missing", your name)`: the model wants it, the file does not have it;
# - `("unexpected", their name)`: the file has it, the model has no place for it;
# - `("shape", their name)`: it does not fit even when turned as its name demands;
# - `("untied", their name)`: the file holds a head that is *not* equal to its token embedding. Your model has no head of
#   its own. To drop this one would be to run another model, without a word.
#
# A tensor that has the wrong shape is a trouble by itself; it is not missing as well. `rename` is your function of step 2.

# %% tags=["given"]
rename = earlier("ch03/lab04/our_name", our_name, gpt2_files.our_name)

# %% nbgrader={"grade_id": "translated", "solution": true}
def translated(
    found: dict[str, torch.Tensor], wanted: dict[str, tuple[int, ...]]
) -> tuple[dict[str, torch.Tensor], list[tuple[str, str]]]:
    """A file's tensors as a state dict for your GPT, and everything that is wrong with them.

    found: tensors under GPT-2's names, of any floating type. wanted: name and shape of every weight of the model.
    Returns (state, problems): state has every weight that fits, in float32; problems are sorted.

    >>> wanted = {"token.weight": (5, 2), "blocks.0.attention.W_o.weight": (2, 2), "last_norm.bias": (2,)}
    >>> found = {"wte.weight": torch.zeros(5, 2), "h.0.attn.c_proj.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    >>> state, problems = translated(found, wanted)
    >>> state["blocks.0.attention.W_o.weight"], problems
    (tensor([[1., 3.],
            [2., 4.]]), [('missing', 'last_norm.bias')])
    """
    ### BEGIN SOLUTION
    state, problems, here = {}, [], set()
    token = next((weight for name, weight in found.items() if rename(name) == "token.weight"), None)
    for theirs, weight in found.items():
        ours = rename(theirs)
        if ours is None:
            if theirs.endswith("lm_head.weight") and (token is None or not torch.equal(weight, token)):
                problems.append(("untied", theirs))
        elif ours not in wanted:
            problems.append(("unexpected", theirs))
        else:
            here.add(ours)
            if ".c_" in theirs and theirs.endswith("weight"):
                weight = weight.T  # (inputs, outputs) -> (outputs, inputs)
            if tuple(weight.shape) == tuple(wanted[ours]):
                state[ours] = weight.float()
            else:
                problems.append(("shape", theirs))
    return state, sorted(problems + [("missing", name) for name in wanted if name not in here])
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_translated", "grade": true}
check("ch03/lab04/translated", translated)

# %% [markdown]
# **Look at it.** The shipped file in your model, and what your list says about files that do not fit.

# %% tags=["given"]
translate = earlier("ch03/lab04/translated", translated, gpt2_files.translated)


def shapes_of(model):
    return {name: tuple(weight.shape) for name, weight in model.state_dict().items()}


def ported(found, sizes):
    """Your GPT with the weights of a file of Hugging Face's. Raises ValueError with the whole list of problems."""
    model = GPT(sizes)
    state, problems = translate(found, shapes_of(model))
    if problems:
        raise ValueError("; ".join(f"{kind}: {name}" for kind, name in problems))
    model.load_state_dict(state)
    return model.eval()


# %% tags=["look"]
sizes = sizes_of(json.loads(FILE.with_name("config.json").read_text()))
model = ported(found, sizes)
with torch.no_grad():
    _, loss = model(held_out[:, :-1], held_out[:, 1:])
torch.manual_seed(0)
sample = generate(model, torch.tensor([list(b"ROMEO:\n")]), 120, temperature=0.8)[0]
print(f"loss on held-out text: {loss.item():.4f}\n\n{bytes(sample.tolist()).decode(errors='replace')}\n")

bare = {name.removeprefix("transformer."): weight for name, weight in found.items()}
damaged = {
    "one layer too many for the model": (found, Sizes(256, 128, 128, 4, 3)),
    "a model with a longer context": (found, Sizes(256, 256, 128, 4, 4)),
    "a file that was cut off": (dict(list(bare.items())[:-2]), sizes),
    "a head of its own": (bare | {"lm_head.weight": bare["wte.weight"] + 0.01}, sizes),
}
for what, (file, wanted_sizes) in damaged.items():
    try:
        ported(file, wanted_sizes)
        print(f"{what}: loaded")
    except ValueError as error:
        print(f"{what}:\n    {str(error)[:160]}")

# %% [markdown]
# **Which of these four would have loaded with `strict=False`, or with a loop that takes what it finds?** A model with one
# layer left out still writes: the residual stream goes around what is not there.

# %% [markdown]
# ## Step 4. The first layer that is wrong
#
# The names fit, the shapes fit, the loss looks right. Is it *the same function*? You need a reference that runs beside
# yours on the same input: `transformers` is here. Compare the hidden states, from the bottom up. The first layer that
# differs is where the mistake is; all above it are wrong because of it.
#
# What is "differs"? Two right programs add up the same numbers in another order, and float32 rounds each time. So
# allow rounding, and nothing else. The question is how much that is:
#
# - An absolute limit such as $10^{-5}$ is wrong where the stream has grown to 50, and blind where it is 0.01.
# - A limit relative to each element is wrong where an element is nearly zero because larger ones cancelled.
#
# Both together are right: an element may be off by
#
# $$\text{tolerance} \times \bigl(|\text{theirs}| + \text{rms}\bigr), \qquad
# \text{rms} = \sqrt{\text{mean of theirs}^2}\ \text{ over the layer's real positions.}$$
#
# Three traps. Padded positions hold garbage in both, and not the same garbage: leave them out, in the root mean square
# too. Shapes that broadcast compare without an error. And **NaN is never larger than anything**: a comparison that asks
# "is the difference too large?" lets a model of NaN pass. Ask "is it small enough?". To be sure that the comparison
# rounds less than what it compares, compute in float64.

# %% nbgrader={"grade_id": "first_difference", "solution": true}
def first_difference(
    ours: dict[str, torch.Tensor],
    theirs: dict[str, torch.Tensor],
    tolerance: float = 1e-5,
    real: torch.Tensor | None = None,
) -> str:
    """The name of the first layer whose states differ by more than rounding; "" if all agree.

    ours, theirs: hidden states by name, (B, T, ...) each, of the same names, in the order in which they are computed.
    real: bool (B, T), False = padding, which is not compared; None = all real.
    An element may be off by tolerance * (|theirs| + root mean square of theirs' layer at real positions).

    >>> theirs = {"embedding": torch.tensor([[[100.0, 1.0]]]), "block 0": torch.tensor([[[100.0, 1.0]]])}
    >>> ours = {"embedding": torch.tensor([[[100.001, 1.0005]]]), "block 0": torch.tensor([[[100.1, 1.0]]])}
    >>> first_difference(ours, theirs)                      # rms 70.7: allowed are 0.0017 and 0.0007
    'block 0'
    """
    ### BEGIN SOLUTION
    for name, b in theirs.items():
        a = ours[name]
        if a.shape != b.shape:
            return name
        a, b = a.double(), b.double()
        if real is not None:
            a, b = a[real], b[real]  # (B, T, ...) -> (n, ...)
        allowed = tolerance * (b.abs() + b.square().mean().sqrt())
        if not ((a - b).abs() <= allowed).all():
            return name
    return ""
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_first_difference", "grade": true}
check("ch03/lab04/first_difference", first_difference)

# %% [markdown]
# **Look at it.** The seven models of the beginning, each against `transformers`' own GPT-2 with the same weights. Beside
# the name that your function returns: the largest relative difference at every depth, and the limit.
#
# One more trap when you collect the states: `transformers` returns `L + 1` hidden states, but its **last** one has
# already gone through the last norm. Yours must too.

# %% tags=["look"]
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

logging.disable_progress_bar()
first_wrong = earlier("ch03/lab04/first_difference", first_difference, comparing.first_difference)


def names_of(layers):
    return ["embedding", *(f"block {n}" for n in range(layers - 1)), f"block {layers - 1} and last norm", "logits"]


@torch.no_grad()
def our_states(model, ids, **told):
    """The states of your model by name: after the embeddings, after each block, logits."""
    x = model.stream(ids, **told)
    x[-1] = model.last_norm(x[-1])
    return dict(zip(names_of(len(x) - 1), [*x, model(ids, **told)]))


@torch.no_grad()
def their_states(reference, ids, **told):
    """The same of a GPT2LMHeadModel."""
    out = reference(ids, output_hidden_states=True, **told)
    return dict(zip(names_of(len(out.hidden_states) - 1), [*out.hidden_states, out.logits]))


# %% tags=["look"]
reference = GPT2LMHeadModel.from_pretrained(FILE.parent, attn_implementation="eager").eval()
ids = held_out[:8, :-1]
right = their_states(reference, ids)
fig, ax = plt.subplots(figsize=(7.5, 3.8))
colours = dict(zip(faults, ("gray", BLUE, SKY, GREEN, ORANGE, PINK, RED)))
for (name, damage), marker in zip(faults.items(), "osD^v<>"):
    states = our_states(with_fault(damage), ids)
    off = [comparing.distance(states[layer], right[layer]) for layer in right]
    ax.plot(np.maximum(off, 1e-8), marker=marker, color=colours[name], label=name)
    print(f"{name:<28}first difference: {first_wrong(states, right) or 'none'}")
ax.axhline(comparing.FLOAT32, color="gray", linestyle="--")
ax.text(0.02, comparing.FLOAT32 * 1.25, "tolerance", fontsize=9)
ax.set_xticks(range(len(right)), [name.replace(" and last norm", "\n+ norm") for name in right], rotation=20)
ax.set(xlabel="state compared", ylabel="largest relative difference", yscale="log")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="what is wrong", fontsize=9)
plt.show()

# %% [markdown]
# **How far above the gray line, which is rounding, is the closest mistake?** All mistakes are far from rounding, and at
# the first wrong layer even the smallest of them stands alone. In the loss of the beginning three of them could not be
# told from the right model. And look at where the lines *begin*: each at its own layer. That is what a comparison of
# logits alone would not have told you.

# %% [markdown]
# ## GPT-2 itself
#
# The same functions load the real GPT-2. The next cell is optional: it fetches one file of **548 MB** from
# `huggingface.co/openai-community/gpt2` (MIT licence), at a fixed commit, and checks its SHA-256 before it reads a number
# of it. Set `FETCH = True` to do so. Otherwise, or without a network, it says so and goes on with the shipped model.

# %% tags=["look"]
FETCH = False
WHERE, COMMIT = "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"
SHA256 = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"
weights, triangles = 124_439_808, 12 * 1024 * 1024
print(f"GPT-2's file: {4 * weights / 1e6:.0f} MB of weights in float32, {4 * triangles / 1e6:.0f} MB of causal triangles")


def gpt2_file():
    """The path of GPT-2's own weights, or None with a note."""
    if not FETCH:
        print("Not fetched (FETCH is False): going on with the shipped model.")
        return None
    import hashlib

    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(WHERE, "model.safetensors", revision=COMMIT)
    except Exception as error:  # no network, no room, no such file: whatever it is, the lab goes on
        print(f"Could not be fetched ({type(error).__name__}): going on with the shipped model.")
        return None
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        print(f"The file is not the one that was meant (SHA-256 {digest}): going on with the shipped model.")
        return None
    return path


path = gpt2_file()
if path:
    from source.tokenizers.byte_level import ByteLevelBPE

    with open(path, "rb") as file:
        large = ported(reader(file), Sizes())
    tokenizer = ByteLevelBPE.gpt2()
    line = "The capital of France is"
    torch.manual_seed(0)
    print(tokenizer.decode(generate(large, torch.tensor([tokenizer.encode(line)]), 30, temperature=0.7)[0].tolist()))
else:
    line = "To be, or not to be"
    torch.manual_seed(0)
    print(bytes(generate(model, torch.tensor([list(line.encode())]), 60, temperature=0.7)[0].tolist()).decode(errors="replace"))

# %% [markdown]
# A tenth of that file is no weights. What does your step 2 do with it?

# %% [markdown]
# ## The chapter's milestone
#
# Your model gives the same logits as Hugging Face's `GPT2LMHeadModel` for the same input, within $10^{-4}$ in float32,
# and the hidden states of every layer agree: for models with random weights in every part, for the trained one, and with
# padding in front and behind. Everything goes through your functions: names, layouts, model. (If you fetched GPT-2, it is
# measured as well.)

# %% tags=["milestone"]
GOAL = 1e-4
compare = earlier("ch03/lab04/first_difference", first_difference, comparing.first_difference)


def random_gpt2(V, context, C, H, L, seed):
    """transformers' GPT-2 with random weights, each of which matters."""
    reference = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=V, n_positions=context, n_embd=C, n_head=H, n_layer=L,
            bos_token_id=None, eos_token_id=None, attn_implementation="eager",
        )
    ).eval()
    torch.manual_seed(seed)
    for name, weight in reference.named_parameters():
        nn.init.normal_(weight, mean=1.0 if re.search(r"ln_\w\.weight", name) else 0.0, std=0.5 if weight.ndim == 1 else C**-0.5)
    return reference


def paddings(B, T):
    """No padding; and each sequence with a length of its own, padded behind or in front."""
    behind = torch.arange(T) < torch.linspace(T, max(1, T // 3), B).long()[:, None]
    return {"no padding": torch.ones(B, T, dtype=torch.bool), "padded behind": behind, "padded in front": behind.flip(1)}


def measured(reference, ours, ids, real):
    """The largest difference of the logits at real positions, and the first layer that differs."""
    positions = (real.long().cumsum(1) - 1).clamp(min=0)
    ours = our_states(ours, ids, mask=real[:, None, None, :], positions=positions)
    theirs = their_states(reference, ids, attention_mask=real.long(), position_ids=positions)
    return max_error(ours["logits"][real], theirs["logits"][real]), compare(ours, theirs, 1e-4, real)


contestants = {}
for seed, (V, context, C, H, L) in enumerate([(97, 32, 48, 6, 3), (50, 16, 30, 5, 2), (11, 8, 8, 1, 1), (300, 64, 128, 4, 6)]):
    reference = random_gpt2(V, context, C, H, L, seed)
    name = f"random, V {V}, C {C}, H {H}, L {L}"
    contestants[name] = reference, ported(reference.state_dict(), Sizes(V, context, C, H, L)), torch.randint(V, (3, context))
trained = GPT2LMHeadModel.from_pretrained(FILE.parent, attn_implementation="eager").eval()
with FILE.open("rb") as file:
    contestants["trained, shipped"] = trained, ported(reader(file), sizes), held_out[:3, :-1]
if path:
    gpt2 = GPT2LMHeadModel.from_pretrained(WHERE, revision=COMMIT, attn_implementation="eager").eval()
    contestants["GPT-2, 124M"] = gpt2, large, torch.randint(50257, (3, 40))

worst, wrong = 0.0, []
for name, (reference, ours, ids) in contestants.items():
    for padding, real in paddings(*ids.shape).items():
        error, layer = measured(reference, ours, ids, real)
        print(f"{name:<32}{padding:<18}logits differ by {error:.1e}, {'layer ' + layer + ' differs' if layer else 'all layers agree'}")
        worst, wrong = max(worst, error), wrong + [layer] * bool(layer)
whose = "the course's" if GPT is course.GPT else "your"
print(f"{whose} GPT against transformers' GPT2LMHeadModel")
verdict = "reached" if worst <= GOAL and not wrong else "not reached"
print(f"goal: logits within {GOAL:g} and no layer that differs | measured: {worst:.1e}, {len(wrong)} layers | {verdict}")

# %% [markdown]
# ## What you built
#
# - A reader of safetensors files that fetches single tensors, and a translation of names and layouts that complains about
#   whatever does not fit.
# - `first_difference`, which names the layer where two models part. Chapters 6, 9 and 16 use it on larger ports.
# - A model that *is* GPT-2, number for number. From here on, whatever you change in it, you have something to compare with.
#
# ## Going further
#
# - The weights and their story: [@radford2019]. What the hub's conversion of them did to names:
#   `transformers/models/gpt2/modeling_gpt2.py`, and `Conv1D` in `pytorch_utils.py`.
# - nanoGPT's `model.py`, `from_pretrained`: find its list of matrices to be turned, and its line about `.attn.bias`.
# - An extension: the other direction. Write `to_huggingface(state)` so that `GPT2LMHeadModel.from_pretrained` reads your
#   own model's folder, and let lab 4.4's model be loaded by it.
