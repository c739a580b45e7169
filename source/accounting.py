"""What a decoder costs, by counting: parameters, FLOPs, and bytes of training and of generating. It runs no model.

A FLOP is one addition or one multiplication, so a multiply-add is two. Softmax, norms, activations and additions are
left out of FLOPs: they are a few in a thousand at usual widths. Bytes are bytes; GiB is 2**30 of them.
Letters: B batch, T positions, C width, H heads, G key and value heads, D = C / H, V vocabulary, L layers.

- Kaplan et al. (2020), Scaling Laws for Neural Language Models, section 2.1 and table 1: FLOPs by part, and 6N.
- Korthikanti et al. (2023), Reducing Activation Recomputation in Large Transformer Models, section 4: activations.
- Rajbhandari et al. (2020), ZeRO, section 3.1: 16 bytes a parameter.
- Touvron et al. (2023), Llama 2; Grattafiori et al. (2024), The Llama 3 Herd of Models: the sizes below.
"""

from dataclasses import dataclass

from source.models.gpt import Sizes

GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """What fixes a decoder's cost. The defaults of the second half are GPT-2's choices.

    hidden: units of the feed-forward network. gated: it has a third matrix (SwiGLU). biases: linear maps have them.
    shifts: norms have one beside their gain. positions: rows of a table of learned positions, 0 for none.
    tied: the head is the token embedding. Raises ValueError when the heads do not divide the width, or each other.
    """

    vocabulary: int
    width: int
    heads: int
    layers: int
    kv_heads: int
    hidden: int
    gated: bool = False
    biases: bool = True
    shifts: bool = True
    positions: int = 0
    tied: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"{self.kv_heads} key heads, {self.heads} query heads, width {self.width}: each must divide the next"
            )

    @property
    def kv_width(self) -> int:
        """G * D, the width of a position's keys."""
        return self.width // self.heads * self.kv_heads


def of_gpt(sizes: Sizes) -> Shape:
    """The shape of the course's GPT."""
    s = sizes
    return Shape(s.vocabulary, s.width, s.heads, s.layers, s.heads, 4 * s.width, positions=s.context)


def _llama(vocabulary: int, width: int, heads: int, layers: int, kv_heads: int, hidden: int) -> Shape:
    return Shape(vocabulary, width, heads, layers, kv_heads, hidden, True, False, False, 0, False)


GPT2_SMALL = of_gpt(Sizes())
LLAMA2_7B = _llama(32_000, 4096, 32, 32, 32, 11_008)
LLAMA3_8B = _llama(128_256, 4096, 32, 32, 8, 14_336)


def parameters(shape: Shape) -> dict[str, int]:
    """Weights by part. A tied head counts nothing: its matrix is the token embedding's."""
    C, bias = shape.width, int(shape.biases)
    maps = [(C, C), (C, shape.kv_width), (C, shape.kv_width), (C, C)]  # queries, keys, values, output
    feed_forward = [(C, shape.hidden)] * (2 if shape.gated else 1) + [(shape.hidden, C)]
    return {
        "token embedding": shape.vocabulary * C,
        "position embedding": shape.positions * C,
        "attention": shape.layers * sum(i * o + bias * o for i, o in maps),
        "feed-forward": shape.layers * sum(i * o + bias * o for i, o in feed_forward),
        "norms": (2 * shape.layers + 1) * C * (2 if shape.shifts else 1),
        "head": 0 if shape.tied else shape.vocabulary * C,
    }


def forward_flops(shape: Shape, B: int, T: int) -> dict[str, int]:
    """FLOPs of one forward pass over B sequences of T tokens, by part; scores of the whole (T, T) square.

    A kernel that skips the masked half spends about half of "scores and blend". An embedding is a lookup: no FLOPs.
    """
    C, tokens = shape.width, B * T
    return {
        "projections": 2 * tokens * shape.layers * (2 * C * C + 2 * C * shape.kv_width),
        "scores and blend": 4 * B * T * T * C * shape.layers,
        "feed-forward": 2 * tokens * shape.layers * (3 if shape.gated else 2) * C * shape.hidden,
        "head": 2 * tokens * C * shape.vocabulary,
    }


def training_flops(shape: Shape, B: int, T: int, recompute: bool = False) -> int:
    """FLOPs of one training step: forward, and twice as much backward. recompute: the blocks run forward once more."""
    forward = forward_flops(shape, B, T)
    total = sum(forward.values())
    return 3 * total + (total - forward["head"] if recompute else 0)


def six_n(shape: Shape, tokens: int) -> int:
    """The rule of thumb for training: 6 FLOPs for each parameter and token, all parameters counted."""
    return 6 * sum(parameters(shape).values()) * tokens


# Bytes a parameter, while training with AdamW.
FP32 = {"weights": 4, "gradients": 4, "first moment": 4, "second moment": 4}
MIXED = {"weights (bf16)": 2, "gradients (bf16)": 2, "master weights": 4, "first moment": 4, "second moment": 4}


def state_bytes(shape: Shape, recipe: dict[str, int]) -> dict[str, int]:
    """What training holds whatever the batch, by kind. recipe: FP32, MIXED, or bytes a parameter by name."""
    count = sum(parameters(shape).values())
    return {name: each * count for name, each in recipe.items()}


def activation_bytes(
    shape: Shape, B: int, T: int, element: int = 2, stored_weights: bool = False, recompute: bool = False
) -> dict[str, int]:
    """What autograd keeps of one forward pass, without dropout: "blocks", "(T, T) weights", "logits".

    element: bytes of a number. stored_weights: attention keeps its softmax output, as it does without a fused kernel.
    recompute: only each block's input is kept (checkpointing). The log-probabilities of the loss count as float32.
    The few numbers a row that norms and fused attention keep are left out.
    """
    C, tokens = shape.width, B * T
    # Input of each norm, each norm's output; queries, keys, values; attention's output; then the feed-forward network.
    attention = 2 * C + (C + 2 * shape.kv_width) + C
    # GELU keeps its input, W_out its own; SwiGLU keeps gate, SiLU's output and the other factor, W_out their product.
    feed_forward = 2 * C + (4 if shape.gated else 2) * shape.hidden
    a_layer = C if recompute else attention + feed_forward
    weights = shape.layers * B * shape.heads * T * T if stored_weights and not recompute else 0
    return {
        "blocks": element * tokens * shape.layers * a_layer,
        "(T, T) weights": element * weights,
        "logits": 4 * tokens * shape.vocabulary,
    }


def cache_bytes(shape: Shape, B: int, S: int, element: int = 2) -> int:
    """Keys and values of S positions in B sequences, in every layer."""
    return 2 * shape.layers * B * S * shape.kv_width * element


def matmul_intensity(rows: int, inner: int, columns: int, element: int = 2) -> float:
    """FLOPs a byte of (rows, inner) @ (inner, columns), if each matrix is moved once. Raises ValueError at size 0."""
    if min(rows, inner, columns) < 1:
        raise ValueError(f"a product ({rows}, {inner}) @ ({inner}, {columns}) moves nothing: give sizes of 1 or more")
    moved = element * (rows * inner + inner * columns + rows * columns)
    return 2 * rows * inner * columns / moved
