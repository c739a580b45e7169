# ---
# jupyter:
#   course:
#     title: The Modern Block
#     level: advanced
#     minutes: 90
#     hardware: cpu
#     builds: "Llama's block, equal to the library's with the same weights, and a look at what a trained feed-forward network has stored."
#     goals:
#     - Share key and value heads among query heads without copying them
#     - Put RMSNorm, rotary positions, grouped-query attention and SwiGLU together, in the right order
#     - Load a library's weights into your block and prove that both compute the same
#     - Test a claim about what a single unit of a trained model responds to
#     needs:
#     - "[The transformer block](../../../book/ch02_transformer_block/transformer_block.md)"
#     - Labs 2.1 to 2.4
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.attention.dot_product import attention
from source.attention.multi_head import merge, split
from source.blocks import llama_block as course
from source.blocks import units as inside
from source.blocks.feed_forward import SwiGLU
from source.blocks.layer_norm import RMSNorm
from source.blocks.positions import rope_angles, rotate_halves
from source.corpus import shakespeare
from source.models import gpt
from source.plots import PALETTE
from source.sliders import move

# %% [markdown]
# ## A question first
#
# Five years lie between GPT-2 and Llama 3. What has changed in the block? Surprisingly little, and every change answers a cost.
# The table counts one of these costs: the keys and values that a model has to keep for every token while it writes, at 2 bytes a number.

# %% tags=["look"]
print(f"{'':16}{'layers':>8}{'heads':>7}{'key heads':>11}{'width of one':>14}{'kB a token':>12}{'GB at 8192 tokens':>19}")
for name, L, H, G, D in (
    ("GPT-2", 12, 12, 12, 64),
    ("GPT-2 XL", 48, 25, 25, 64),
    ("Llama 2 7B", 32, 32, 32, 128),
    ("Llama 3 8B", 32, 32, 8, 128),
):
    a_token = 2 * L * G * D * 2  # keys and values, layers, heads, width, bytes
    print(f"{name:16}{L:>8}{H:>7}{G:>11}{D:>14}{a_token / 1e3:>12.1f}{a_token * 8192 / 1e9:>19.2f}")

# %% [markdown]
# **Llama 3 has as many layers and heads as Llama 2, and wider feed-forward networks. Which one number makes its row so much smaller?** A card that
# serves 20 users with long texts spends more memory on this than on the model's weights.
#
# | | GPT-2 | Llama |
# |---|---|---|
# | norm | LayerNorm | RMSNorm: no mean, no bias |
# | positions | a learned table, added once | rotary, in every layer, on queries and keys |
# | keys and values | one pair a head | one pair a *group* of heads |
# | feed-forward | GELU, 4C | SwiGLU, about 8C/3 |
# | biases | everywhere | none |
#
# You have built each part. Here you build grouped attention, put all together, and hold it against the library's.
#
# Letters: `B` batch, `T` queries, `S` keys, `C` width, `H` query heads, `G` key and value heads, `D` head width.

# %% [markdown]
# ## Step 1. Heads that share keys
#
# In grouped-query attention [@ainslie2023] there are `G` heads of keys and values, and `H / G` query heads share one: the first `H / G` query heads
# the first, the next ones the next. With `G = H` this is multi-head attention, with `G = 1` multi-query attention [@shazeer2019].
#
# In shapes: `q (B, H, T, D)`, `k` and `v (B, G, S, D)` → `(B, H, T, D)`.
#
# `attention(Q, K, V, mask)` of lab 1.1 is imported above. It works on the last two dimensions, and those in front broadcast. Copying each key
# head `H / G` times gives the right numbers, and is just what one wants to avoid. Do it if you like; a view that needs no copy is more elegant.

# %% nbgrader={"grade_id": "grouped_attention", "solution": true}
def grouped_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Attention with G key and value heads for H query heads.

    q: (B, H, T, D). k, v: (B, G, S, D); G divides H. mask: bool (T, S), True = may be seen. Returns (B, H, T, D).

    >>> q, k = torch.zeros(1, 4, 1, 2), torch.zeros(1, 2, 3, 2)     # equal scores: each head averages its values
    >>> v = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1).expand(1, 2, 3, 2)
    >>> grouped_attention(q, k, v)[0, :, 0, 0]                      # heads 0 and 1 read group 0, heads 2 and 3 group 1
    tensor([10., 10., 20., 20.])
    """
    ### BEGIN SOLUTION
    H, G = q.shape[1], k.shape[1]
    q = q.unflatten(1, (G, H // G))  # (B, H, T, D) -> (B, G, H/G, T, D)
    out, _ = attention(q, k[:, :, None], v[:, :, None], mask)  # keys (B, G, 1, S, D) broadcast over their group
    return out.flatten(1, 2)  # (B, G, H/G, T, D) -> (B, H, T, D)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_grouped_attention", "grade": true}
check("ch02/lab06/grouped_attention", grouped_attention)

# %% [markdown]
# **Look at it.** Who reads what, asked of your function itself: eight query heads with nothing to choose from, and in
# each key and value head one value, its own number. Beside it what a layer has to keep, for heads of width 64 in 16 bits.

# %% tags=["given"]
grouped = earlier("ch02/lab06/grouped_attention", grouped_attention, course.grouped_attention)

# %% tags=["look"]
def shared(G, tokens):
    """The key and value head that each of 8 query heads reads, and the bytes that one layer keeps of so many tokens."""
    q, k = torch.zeros(1, 8, 1, 1), torch.zeros(1, G, 1, 1)
    reads = grouped(q, k, torch.arange(G).float().view(1, G, 1, 1))[0, :, 0, 0]
    kept = torch.empty(2, G, tokens, 64, dtype=torch.float16, device="meta")  # keys and values
    return [round(head) for head in reads.tolist()], kept.nbytes


def draw(G=2, tokens=1024):
    reads, kept = shared(G, tokens)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 2.8), layout="constrained", width_ratios=(2, 1))
    for h, g in enumerate(reads):
        left.plot([h, (g + 0.5) * 8 / G - 0.5], [1, 0], "o-", color=(*PALETTE, "black")[g], markersize=9)
        left.text(h, 1.12, f"q{h}", ha="center")
    for g in range(G):
        left.text((g + 0.5) * 8 / G - 0.5, -0.25, f"k{g}, v{g}", ha="center", fontsize=9)
    left.set(ylim=(-0.3, 1.3), title=f"8 query heads, {G} key and value head{'s' if G > 1 else ''}")
    left.axis("off")
    full = 2 * 8 * tokens * 64 * 2
    right.bar([f"G = {G}", "G = 8"], [kept / 2**20, full / 2**20], color=[PALETTE[0], "lightgray"])
    right.set(ylabel="cache of a layer (MiB)", ylim=(0, 17), title=f"{tokens:,} tokens: {full // kept} times smaller")
    return fig


move(draw, G=[1, 2, 4, 8], tokens=(256, 8192, 256), card="grouped_query_attention",
     alt="eight query heads joined to the key and value heads that they read; two bars for the size of the cache")

# %% [markdown]
# **With `G = 8`, 1,024 tokens fill the memory that is set aside. How many fit in with `G = 2`?** Query heads need no
# room: nobody asks an old query again.

# %% [markdown]
# ## Step 2. The block
#
# $$x \leftarrow x + \text{attention}(\text{norm}_1(x)) \qquad x \leftarrow x + \text{SwiGLU}(\text{norm}_2(x))$$
#
# The attention half: project (no biases), split into `H` and `G` heads, turn queries and keys by their positions, attend causally over groups, merge,
# project. Given: `RMSNorm(width)` and `SwiGLU(width, hidden)` as you built them, `split` and `merge` of lab 1.3, `rope_angles(positions, D)`, which gives
# `(T, D/2)`, and `rotate_halves(x, angles)`, which turns `(B, H, T, D)`.

# %% nbgrader={"grade_id": "modern_block", "solution": true}
class ModernBlock(nn.Module):
    """Llama's block.

    width: C. heads: H. kv_heads: G. hidden: the width inside SwiGLU. Its parts: norm1 and norm2, each an RMSNorm(C);
    W_q, an nn.Linear(C, H * D), W_k and W_v, nn.Linear(C, G * D), W_o, nn.Linear(H * D, C), all without bias; and
    feed_forward, a SwiGLU(C, hidden).

    >>> ModernBlock(8, 4, 2, 20)(torch.zeros(1, 3, 8)).abs().max()    # nothing in, nothing out: there are no biases
    tensor(0., grad_fn=<MaxBackward1>)
    """

    def __init__(self, width: int, heads: int, kv_heads: int, hidden: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        D = width // heads
        self.heads, self.kv_heads = heads, kv_heads
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.W_q = nn.Linear(width, heads * D, bias=False)
        self.W_k = nn.Linear(width, kv_heads * D, bias=False)
        self.W_v = nn.Linear(width, kv_heads * D, bias=False)
        self.W_o = nn.Linear(heads * D, width, bias=False)
        self.feed_forward = SwiGLU(width, hidden)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, T, C), positions 0 to T - 1. Returns (B, T, C); output t depends on positions 0 to t alone."""
        ### BEGIN SOLUTION
        T = x.shape[1]
        h = self.norm1(x)
        q = split(self.W_q(h), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(h), self.kv_heads)  # (B, T, G*D) -> (B, G, T, D)
        v = split(self.W_v(h), self.kv_heads)
        angles = rope_angles(torch.arange(T), q.shape[-1])  # (T, D/2)
        causal = torch.ones(T, T, dtype=torch.bool).tril()
        z = grouped(rotate_halves(q, angles), rotate_halves(k, angles), v, causal)  # (B, H, T, D)
        x = x + self.W_o(merge(z))  # (B, T, C)
        return x + self.feed_forward(self.norm2(x))
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_modern_block", "grade": true}
check("ch02/lab06/modern_block", ModernBlock)

# %% [markdown]
# ## Step 3. The library's weights in your block
#
# A block that is almost Llama's is of no use: it would load the weights and write nonsense. The proof is to take the library's own layer, copy its
# weights, and compare. Names differ. Hugging Face calls the first norm `input_layernorm` and the second `post_attention_layernorm`, which is *before* the
# feed-forward network; the attention's matrices are `self_attn.q_proj` and so on, the network's `mlp.gate_proj`, `mlp.up_proj`, `mlp.down_proj`. All are `nn.Linear`, so
# nothing is transposed.
#
# Translate a layer's `state_dict`.

# %% nbgrader={"grade_id": "from_llama", "solution": true}
def from_llama(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A Hugging Face Llama layer's weights under ModernBlock's names. SwiGLU's own names are W_gate, W_up and W_down.

    state: "input_layernorm.weight" and the eight others. Returns "norm1.weight" and the eight others, the same tensors.
    """
    ### BEGIN SOLUTION
    names = {
        "norm1": "input_layernorm",
        "norm2": "post_attention_layernorm",
        **{f"W_{n}": f"self_attn.{n}_proj" for n in "qkvo"},
        **{f"feed_forward.W_{n}": f"mlp.{n}_proj" for n in ("gate", "up", "down")},
    }
    return {f"{ours}.weight": state[f"{theirs}.weight"] for ours, theirs in names.items()}
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_from_llama", "grade": true}
check("ch02/lab06/from_llama", from_llama)

# %% [markdown]
# **Look at it.** Your block against `transformers`' own, with random weights, for a growing number of groups. Forward, and the gradient of the input.

# %% tags=["look"]
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

Block = earlier("ch02/lab06/modern_block", ModernBlock, course.LlamaBlock)
translate = earlier("ch02/lab06/from_llama", from_llama, course.from_hugging_face)
C, H, T = 64, 8, 20
print(f"{'H':>3}{'G':>4}{'weights':>10}{'largest difference':>21}{'of the gradient':>18}")
for G in (1, 2, 4, 8):
    torch.manual_seed(G)
    config = LlamaConfig(
        hidden_size=C, intermediate_size=172, num_attention_heads=H, num_key_value_heads=G, rms_norm_eps=1e-5,
        attn_implementation="eager",
    )  # fmt: skip
    theirs, rotary = LlamaDecoderLayer(config, 0), LlamaRotaryEmbedding(config)
    mine = Block(C, H, G, 172)
    mine.load_state_dict(translate(theirs.state_dict()))
    a = torch.randn(2, T, C, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    places = torch.arange(T)[None]
    future = torch.full((T, T), float("-inf")).triu(1)[None, None]
    out = theirs(a, attention_mask=future, position_ids=places, position_embeddings=rotary(a, places))
    out = out[0] if isinstance(out, tuple) else out
    found = mine(b)
    upstream = torch.randn_like(out)
    out.backward(upstream)
    found.backward(upstream)
    worst, slope = (found - out).abs().max().item(), (a.grad - b.grad).abs().max().item()
    print(f"{H:>3}{G:>4}{sum(p.numel() for p in mine.parameters()):>10,}{worst:>21.1e}{slope:>18.1e}")

# %% [markdown]
# **Is the difference that of rounding, or of a mistake? And which rows of the weights shrink with `G`?** If your numbers are near $10^{-6}$, you have Llama's block.
# Chapter 3 stacks such blocks; chapter 8 counts what grouping saves when a model writes.

# %% [markdown]
# ## Step 4. What is stored in a trained network?
#
# Lab 2.3 wrote a feed-forward network as keys and values. A unit fires when its key fits. In a trained model one can ask: *on which texts?* [@geva2021]
#
# The course ships a small GPT, trained on bytes of Shakespeare. Its blocks have the plain network with GELU, where a unit has one key; a gated unit has two, and its reading is
# less plain. Below, the model reads held-out text, and the strengths of every unit of every layer are kept.

# %% tags=["given"]
torch.set_num_threads(1)
MODEL = gpt.shipped()
CONTEXT = MODEL.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode())[: 400 * CONTEXT]).view(-1, CONTEXT)  # (N, T)


def strengths_of(ids: torch.Tensor) -> list[torch.Tensor]:
    """For each layer, how strongly each hidden unit fires at each place: (N, T, hidden)."""
    kept = []
    hooks = [
        block.feed_forward.W_in.register_forward_hook(lambda _, __, out: kept.append(F.gelu(out, approximate="tanh")))
        for block in MODEL.blocks
    ]
    with torch.no_grad():
        MODEL(ids)
    for hook in hooks:
        hook.remove()
    return kept

# %% [markdown]
# First the plain thing: where does a unit fire most, and what stood there? Write the function that finds the texts: the `n` strongest places of one unit, and
# for each the last `W` tokens up to *and including* that place. Near the beginning of a text there may be fewer than `W`: fill up on the left with -1.

# %% nbgrader={"grade_id": "strongest", "solution": true}
def strongest(strengths: torch.Tensor, ids: torch.Tensor, n: int, W: int) -> torch.Tensor:
    """The texts on which a unit fires most.

    strengths: (N, T), one unit's strength at each place of N texts. ids: (N, T). Returns (n, W) of int64, the
    strongest first; of equal ones the earlier text, then the earlier place. Filled up with -1 on the left.

    >>> strongest(torch.tensor([[0.0, 9.0, 1.0], [5.0, 0.0, 0.0]]), torch.tensor([[10, 11, 12], [20, 21, 22]]), 2, 3)
    tensor([[-1, 10, 11],
            [-1, -1, 20]])
    """
    ### BEGIN SOLUTION
    T = ids.shape[1]
    order = strengths.flatten().argsort(descending=True, stable=True)[:n]
    padded = torch.cat([ids.new_full((len(ids), W - 1), -1), ids], dim=1)  # (N, W - 1 + T)
    text, place = order // T, order % T
    return padded[text[:, None], place[:, None] + torch.arange(W)]  # (n, W)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_strongest", "grade": true}
check("ch02/lab06/strongest", strongest)

# %% [markdown]
# **Look at it.** In each layer, the five units whose strongest places stand out most from their average, and what stood there.

# %% tags=["look"]
texts_of = earlier("ch02/lab06/strongest", strongest, inside.strongest)
kept = strengths_of(held_out)


def readable(ids):
    return "".join("·" if i < 0 else chr(i) for i in ids.tolist()).replace("\n", "⏎").replace(" ", "␣")


for layer, strengths in enumerate(kept):
    flat = strengths.flatten(0, 1)  # (N*T, hidden)
    peak = flat.topk(20, dim=0).values.mean(0) / (flat.std(0) + 1e-6)
    for unit in peak.topk(5).indices.tolist():
        found = texts_of(strengths[..., unit], held_out, 20, 10)[::4]
        print(f"layer {layer}, unit {unit:3}:  " + "  ".join(readable(row) for row in found))

# %% [markdown]
# **For which rows could you name the pattern?** Be careful: people find patterns in anything. A claim needs a test.

# %% [markdown]
# ## Step 5. Test the claim
#
# "This unit fires after a colon" is a claim about all places, not about five. Take the `n` strongest places and ask in which share of them the pattern holds. Compare with the share
# among *all* places: a pattern that holds everywhere says nothing about the unit. Their ratio is the *lift*:
#
# $$\text{lift} = \frac{\text{share of the } n \text{ strongest places where the pattern holds}}{\text{share of all places where it holds}}$$
#
# A lift of 1 is chance. Where the pattern never holds, call the lift 0.

# %% nbgrader={"grade_id": "lift", "solution": true}
def lift(strengths: torch.Tensor, holds: torch.Tensor, n: int) -> torch.Tensor:
    """How much more often a pattern holds where each unit fires most than anywhere.

    strengths: (N, T, U), U units. holds: bool (N, T), whether the pattern holds at a place. n: how many of each unit's
    strongest places are looked at. Returns (U,).

    >>> strengths = torch.tensor([[[9.0, 0.0], [8.0, 1.0], [0.0, 2.0], [0.0, 3.0]]])    # (1, 4, 2)
    >>> lift(strengths, torch.tensor([[True, True, False, False]]), 2)                  # half of all places hold
    tensor([2., 0.])
    """
    ### BEGIN SOLUTION
    flat, holds = strengths.flatten(0, 1), holds.flatten().to(strengths.dtype)  # (N*T, U), (N*T,)
    top = flat.topk(n, dim=0).indices  # (n, U)
    share, anywhere = holds[top].mean(dim=0), holds.mean()
    return share / anywhere if anywhere > 0 else torch.zeros_like(share)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_lift", "grade": true}
check("ch02/lab06/lift", lift)

# %% [markdown]
# **Look at it.** With hundreds of units and a dozen patterns, some unit will fit some pattern by chance. So choose on one half of the texts and test on the other:
# for each pattern, the unit with the highest lift on the first half, and its lift on the second.

# %% tags=["look"]
lift_of = earlier("ch02/lab06/lift", lift, inside.lift)
before = torch.cat([torch.full((len(held_out), 3), 10), held_out], dim=1)  # as if each text came after empty lines


def ends(word):
    """(N, T): whether the text up to and including a place ends with this word of up to four bytes."""
    found = torch.ones_like(held_out, dtype=torch.bool)
    for back, byte in enumerate(reversed(word.encode())):
        found &= before[:, 3 - back : 3 - back + CONTEXT] == byte
    return found


capital = (held_out >= ord("A")) & (held_out <= ord("Z"))
patterns = {
    "a capital letter": capital,
    "two capitals in a row": capital & torch.cat([torch.zeros_like(capital[:, :1]), capital[:, :-1]], dim=1),
    "a line ends": ends("\n"),
    "an empty line": ends("\n\n"),
    "a colon": ends(":"),
    "an apostrophe": ends("'"),
    "th": ends("th"),
    "␣the": ends(" the"),
    "wh": ends("wh"),
    "q": ends("q"),
    "a comma and a space": ends(", "),
    "ou": ends("ou"),
}
half = len(held_out) // 2
rows = []
for name, holds in patterns.items():
    there = [int(part.sum()) for part in (holds[:half], holds[half:])]
    n, n_tested = (min(100, count) for count in there)  # more places than hold the pattern would only dilute it
    chosen = [lift_of(strengths[:half], holds[:half], n) for strengths in kept]
    layer = max(range(len(chosen)), key=lambda i: float(chosen[i].max()))
    unit = int(chosen[layer].argmax())
    tested = lift_of(kept[layer][half:, :, unit : unit + 1], holds[half:], n_tested)[0]
    share = float(holds[half:].float().mean())
    rows.append((name, layer, unit, share, float(tested) * share, float(tested)))
print(f"{'pattern':24}{'layer':>6}{'unit':>6}{'anywhere':>11}{'at the top':>12}{'lift':>8}")
for name, layer, unit, share, top, times in rows:
    print(f"{name:24}{layer:>6}{unit:>6}{100 * share:>10.2f}%{100 * top:>11.0f}%{times:>8.1f}")

fig, ax = plt.subplots(figsize=(6.5, 3.6))
for place, (name, _, _, share, top, _) in enumerate(rows):
    ax.plot([100 * share, 100 * top], [place, place], color="gray", linewidth=1, zorder=1)
ax.scatter([100 * r[3] for r in rows], range(len(rows)), label="anywhere", zorder=2)
ax.scatter([100 * r[4] for r in rows], range(len(rows)), marker="s", label="where the unit fires most", zorder=2)
ax.set_yticks(range(len(rows)), [r[0] for r in rows])
ax.set(xlabel="places where the pattern holds (%), on texts not used to choose the unit", xlim=(-3, 103))
ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2)
ax.invert_yaxis()
plt.show()

# %% [markdown]
# **In which layer are the units that answer to one letter, and where those that answer to more?** A high lift says: where the unit fires *most*, the pattern
# holds. It does not say that the unit fires *wherever* the pattern holds, nor that the model needs it. How would you test that? (Set the unit to zero, and
# look at the loss where the pattern holds.)

# %% [markdown]
# ## What you built
#
# - Grouped-query attention that copies no key, and a block that is Llama's to rounding.
# - The translation of a library's weights, and the habit of proving it.
# - A test for claims about single units, with the choice and the test on different texts. Chapter 3 stacks these blocks into models.
#
# ## Going further
#
# - The papers: [@ainslie2023]; [@touvron2023], section 2.2; [@geva2021].
# - Production code: `transformers/models/llama/modeling_llama.py`, class `LlamaDecoderLayer` and function `repeat_kv`, which copies what you broadcast.
# - An extension: the values. Multiply a unit's value with the model's read-out matrix, and see which bytes it raises. For which units do the raised bytes continue the
#   pattern that the key answers to?
