"""Train and ship the course's Llama.

`python -m source.checkpoints.llama_shakespeare`; it needs no network.
"""

from source.checkpoints.plan import Plan
from source.checkpoints.training import run
from source.models import llama

PLAN = Plan(
    "llama-shakespeare",
    llama.Sizes(vocabulary=2048, context=256, width=256, heads=8, kv_heads=2, hidden=768, layers=4),
    steps=2000,
    batch=16,
    rate=2e-3,
    measure_every=50,
    bfloat16=True,
)

if __name__ == "__main__":
    run(PLAN)
