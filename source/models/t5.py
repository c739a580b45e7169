"""A small T5: an encoder that reads a whole text, a decoder that writes another one. No dropout, no cache.

Letters: B batch, S source positions, T target positions, C model width, H heads, D = C / H head width, V vocabulary,
L layers (of the encoder, and again of the decoder).

- Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer,
  section 2.1. This is T5 as published: ReLU, and the token embedding as the head too.
- Vaswani et al. (2017), Attention Is All You Need, section 3.1 (the encoder and the decoder).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.attention.multi_head import merge, split
from source.blocks.feed_forward import FeedForward
from source.blocks.gpt2_block import causal_mask
from source.blocks.layer_norm import RMSNorm
from source.blocks.relative import T5Bias
from source.data_pipeline.targets import IGNORED

EPS = 1e-6  # of every norm


@dataclass(frozen=True)
class Sizes:
    """What fixes the shape of every weight: V, C, H, the feed-forward network's inner width, L, and the buckets."""

    vocabulary: int
    width: int = 64
    heads: int = 8
    hidden: int = 128
    layers: int = 2
    buckets: int = 32
    furthest: int = 128


class T5Attention(nn.Module):
    """Multi-head attention without biases in its matrices and without 1/√D on its scores.

    The factor is in the weights that it begins with: `MiniT5` draws W_q smaller by √D. width: C. heads: H. Raises
    ValueError when the heads do not divide the width. (T5's two largest sizes have wider heads; these have D = C / H.)
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}: the head width must be a whole number")
        self.heads = heads
        self.W_q = nn.Linear(width, width, bias=False)
        self.W_k = nn.Linear(width, width, bias=False)
        self.W_v = nn.Linear(width, width, bias=False)
        self.W_o = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Let every position of x look at every position of the context.

        x: (B, T, C). context: (B, S, C), None = x itself. mask: bool, broadcasts to (B, H, T, S), True = may be seen.
        bias: (H, T, S), added to the scores. Returns (B, T, C) and the weights (B, H, T, S); a row with nothing to see
        is all zeros, and so are its gradients.
        """
        context = x if context is None else context
        q = split(self.W_q(x), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        v = split(self.W_v(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        scores = q @ k.transpose(-2, -1)  # (B, H, T, S)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            # Filling comes last: it stops the gradient, which for a row of nothing but -inf is NaN.
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
        return self.W_o(merge(weights @ v)), weights


class EncoderBlock(nn.Module):
    """Self-attention in which all see all, then a feed-forward network; each reads a norm and adds to x.

    width: C. heads: H. hidden: the feed-forward network's inner width.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(width, EPS)
        self.attention = T5Attention(width, heads)
        self.norm2 = RMSNorm(width, EPS)
        self.feed_forward = FeedForward(width, hidden, "relu", bias=False)

    def forward(self, x: Tensor, real: Tensor, bias: Tensor | None = None) -> Tensor:
        """x: (B, S, C). real: bool (B, S), False = padding. bias: (H, S, S). Returns (B, S, C)."""
        x = x + self.attention(self.norm1(x), mask=real[:, None, None, :], bias=bias)[0]
        return x + self.feed_forward(self.norm2(x))


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to the encoder's output, a feed-forward network; each normed and added.

    width: C. heads: H. hidden: the feed-forward network's inner width.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(width, EPS)
        self.self_attention = T5Attention(width, heads)
        self.norm2 = RMSNorm(width, EPS)
        self.cross_attention = T5Attention(width, heads)
        self.norm3 = RMSNorm(width, EPS)
        self.feed_forward = FeedForward(width, hidden, "relu", bias=False)

    def forward(self, x: Tensor, memory: Tensor, real: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: (B, T, C). memory: (B, S, C), the encoder's output. real: bool (B, S), False = padding of the source.

        bias: (H, T, T), for the self-attention alone: two texts share no positions. The target's own padding needs no
        mask, since it lies behind every word. Returns (B, T, C) and the cross-attention's weights (B, H, T, S).
        """
        seen = causal_mask(x.shape[1], device=x.device)
        x = x + self.self_attention(self.norm1(x), mask=seen, bias=bias)[0]
        # The memory ends with the encoder's own norm: it is not normed again.
        update, weights = self.cross_attention(self.norm2(x), memory, mask=real[:, None, None, :])
        x = x + update
        return x + self.feed_forward(self.norm3(x)), weights


class MiniT5(nn.Module):
    """One token embedding for both texts, an encoder, a decoder, and the embedding again as the head.

    decoder_block: the class of the decoder's blocks, made and called like `DecoderBlock`. Raises ValueError when the
    heads do not divide the width.
    """

    def __init__(self, sizes: Sizes, decoder_block: type[nn.Module] = DecoderBlock) -> None:
        super().__init__()
        self.sizes = sizes
        C, H, hidden = sizes.width, sizes.heads, sizes.hidden
        self.token = nn.Embedding(sizes.vocabulary, C)
        self.encoder = nn.ModuleList(EncoderBlock(C, H, hidden) for _ in range(sizes.layers))
        self.encoder_bias = T5Bias(H, sizes.buckets, sizes.furthest, both_ways=True)  # one for all layers
        self.encoder_norm = RMSNorm(C, EPS)
        self.decoder = nn.ModuleList(decoder_block(C, H, hidden) for _ in range(sizes.layers))
        self.decoder_bias = T5Bias(H, sizes.buckets, sizes.furthest)
        self.decoder_norm = RMSNorm(C, EPS)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=self._initial_std(name))

    def encode(self, ids: Tensor, real: Tensor) -> Tensor:
        """Read the source: ids (B, S), real bool (B, S), False = padding -> the memory (B, S, C)."""
        x = self.token(ids)  # (B, S) -> (B, S, C)
        bias = self.encoder_bias(ids.shape[1], ids.shape[1])  # (H, S, S)
        for block in self.encoder:
            x = block(x, real, bias)
        return self.encoder_norm(x)

    def decode(self, inputs: Tensor, memory: Tensor, real: Tensor) -> Tensor:
        """The scores of every next target word: inputs (B, T), memory (B, S, C), real (B, S) -> logits (B, T, V)."""
        return self._decoded(inputs, memory, real)[0]

    def forward(self, ids: Tensor, real: Tensor, inputs: Tensor) -> Tensor:
        """Both at once: the source (B, S) with its mask and the decoder's input (B, T) -> logits (B, T, V)."""
        return self.decode(inputs, self.encode(ids, real), real)

    def cross_weights(self, ids: Tensor, real: Tensor, inputs: Tensor) -> Tensor:
        """Which source words each decoder position looks at: (L, B, H, T, S), the cross-attention of every layer."""
        return self._decoded(inputs, self.encode(ids, real), real)[1]

    def _decoded(self, inputs: Tensor, memory: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        x, looked = self.token(inputs), []  # (B, T) -> (B, T, C)
        bias = self.decoder_bias(inputs.shape[1], inputs.shape[1])  # (H, T, T)
        for block in self.decoder:
            x, weights = block(x, memory, real, bias)
            looked.append(weights)
        # The embedding's entries have size 1, so as a head it is scaled down: logits of size 1 to begin with.
        x = self.decoder_norm(x) * self.sizes.width**-0.5
        return x @ self.token.weight.T, torch.stack(looked)  # (B, T, C) @ (C, V) -> (B, T, V)

    def _initial_std(self, name: str) -> float:
        # T5's: what leaves a matrix has the size of what entered, except queries, which are smaller by √D.
        C, D = self.sizes.width, self.sizes.width // self.sizes.heads
        if name == "token.weight":
            return 1.0
        if name.endswith("W_q.weight"):
            return (C * D) ** -0.5
        return self.sizes.hidden**-0.5 if name.endswith("W_out.weight") else C**-0.5


def shift_right(labels: Tensor, start: int, pad: int) -> Tensor:
    """What the decoder reads while it learns to say `labels`: the start token, then all labels but the last.

    labels: (B, T), IGNORED where nothing is to be said; there the decoder reads `pad`. Returns (B, T).
    """
    inputs = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    return torch.where(inputs == IGNORED, pad, inputs)


def loss(model: MiniT5, ids: Tensor, real: Tensor, labels: Tensor, start: int = 0, pad: int = 0) -> Tensor:
    """The mean loss over all words to be said, in nats. ids, real: (B, S). labels: (B, T), IGNORED behind the end.

    start and pad are one and the same token in T5.
    """
    logits = model(ids, real, shift_right(labels, start, pad))
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def padded_loss(model: MiniT5, ids: Tensor, target: Tensor, start: int = 0, pad: int = 0) -> Tensor:
    """`loss` of a batch that is told by its padding alone: ids (B, S) and target (B, T) end in `pad`."""
    return loss(model, ids, ids != pad, target.masked_fill(target == pad, IGNORED), start, pad)


@torch.no_grad()
def greedy(
    model: MiniT5, ids: Tensor, real: Tensor, longest: int, start: int = 0, end: int = 1, pad: int = 0
) -> Tensor:
    """Translate by taking the likeliest word each time: ids, real (B, S) -> words (B, T), at most `longest` of them.

    T is the longest translation's length, its end included; `pad` fills up behind shorter ones.
    """
    memory = model.encode(ids, real)  # once: the source does not change while the target grows
    words = torch.full((len(ids), 1), start, device=ids.device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    while words.shape[1] <= longest and not done.all():
        word = model.decode(words, memory, real)[:, -1].argmax(-1)  # (B, T, V) -> (B,)
        word = torch.where(done, pad, word)
        words = torch.cat([words, word[:, None]], dim=1)
        done = done | (word == end)
    return words[:, 1:]


def to_huggingface(model: MiniT5) -> dict[str, Tensor]:
    """All weights under the names of transformers.T5ForConditionalGeneration; the shapes are the same."""
    tied = ("shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head")
    state = {f"{name}.weight": model.token.weight for name in tied}
    attention = {"W_q": "q", "W_k": "k", "W_v": "v", "W_o": "o"}
    for side, parts in (
        ("encoder", (("attention", "SelfAttention"),)),
        ("decoder", (("self_attention", "SelfAttention"), ("cross_attention", "EncDecAttention"))),
    ):
        for layer, block in enumerate(getattr(model, side)):
            ours = dict(block.named_parameters())
            theirs = f"{side}.block.{layer}.layer"
            for n, (part, name) in enumerate(parts):
                state[f"{theirs}.{n}.layer_norm.weight"] = ours[f"norm{n + 1}.weight"]
                state |= {f"{theirs}.{n}.{name}.{t}.weight": ours[f"{part}.{w}.weight"] for w, t in attention.items()}
            n = len(parts)
            state[f"{theirs}.{n}.layer_norm.weight"] = ours[f"norm{n + 1}.weight"]
            state[f"{theirs}.{n}.DenseReluDense.wi.weight"] = ours["feed_forward.W_in.weight"]
            state[f"{theirs}.{n}.DenseReluDense.wo.weight"] = ours["feed_forward.W_out.weight"]
        table = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        state[table] = getattr(model, f"{side}_bias").table.weight
        state[f"{side}.final_layer_norm.weight"] = getattr(model, f"{side}_norm").weight
    return {name: weight.detach() for name, weight in state.items()}


def config(sizes: Sizes) -> dict[str, object]:
    """The arguments of a transformers.T5Config for a model of these sizes, without dropout."""
    return {
        "vocab_size": sizes.vocabulary,
        "d_model": sizes.width,
        "d_kv": sizes.width // sizes.heads,
        "d_ff": sizes.hidden,
        "num_layers": sizes.layers,
        "num_heads": sizes.heads,
        "relative_attention_num_buckets": sizes.buckets,
        "relative_attention_max_distance": sizes.furthest,
        "layer_norm_epsilon": EPS,
        "feed_forward_proj": "relu",
        "dropout_rate": 0.0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }


def attention_naive(
    layer: T5Attention,
    x: Tensor,
    context: Tensor | None = None,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`layer(x, context, mask, bias)`, one head, one query and one key at a time."""
    context = x if context is None else context
    B, T, C = x.shape
    S, H = context.shape[1], layer.heads
    D = C // H
    seen = torch.ones(B, H, T, S, dtype=torch.bool) if mask is None else mask.expand(B, H, T, S)
    out, weights = [], x.new_zeros(B, H, T, S)
    for b in range(B):
        for t in range(T):
            row = x.new_zeros(C)
            for h in range(H):
                mine = slice(h * D, (h + 1) * D)
                q = layer.W_q.weight[mine] @ x[b, t]
                e = {}
                for s in (s for s in range(S) if seen[b, h, t, s]):
                    score = q @ (layer.W_k.weight[mine] @ context[b, s])
                    e[s] = torch.exp(score if bias is None else score + bias[h, t, s])
                for s, value in e.items():
                    w = value / sum(e.values())
                    weights[b, h, t, s] = w.detach()
                    row = row + layer.W_o.weight[:, mine] @ (w * (layer.W_v.weight[mine] @ context[b, s]))
            out.append(row)
    return (torch.stack(out).view(B, T, C) if out else x.new_zeros(B, T, C)), weights
