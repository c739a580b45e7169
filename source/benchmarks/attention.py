"""Chapter 1's attention beside PyTorch's own: time as a ratio to the plain version, in one run on one machine."""

import torch
import torch.nn.functional as F

from source.attention.dot_product import attention
from source.timing import seconds


def run(device: torch.device) -> dict[str, object]:
    """Time causal attention at growing length T: the plain version (baseline) and scaled_dot_product_attention.

    Returns settings and rows of {"T", "plain_seconds", "fused_seconds", "ratio", "largest_difference"}.
    """
    B, H, D = 1, 8, 64
    generator = torch.Generator().manual_seed(0)
    rows = []
    for T in (128, 512, 1024, 2048):
        Q, K, V = (torch.randn(B, H, T, D, generator=generator).to(device) for _ in range(3))
        causal = torch.ones(T, T, dtype=torch.bool, device=device).tril()
        with torch.no_grad():
            plain = seconds(lambda Q=Q, K=K, V=V, causal=causal: attention(Q, K, V, causal), repeats=7)
            fused = seconds(lambda Q=Q, K=K, V=V: F.scaled_dot_product_attention(Q, K, V, is_causal=True), repeats=7)
            error = attention(Q, K, V, causal)[0] - F.scaled_dot_product_attention(Q, K, V, is_causal=True)
        rows.append(
            {
                "T": T,
                "plain_seconds": plain,
                "fused_seconds": fused,
                "ratio": plain / fused,
                "largest_difference": float(error.abs().max()),
            }
        )
    return {"what": "causal attention, float32", "baseline": "plain", "B": B, "H": H, "D": D, "rows": rows}
