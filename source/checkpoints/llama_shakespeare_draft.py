"""Train and ship the draft model beside the course's Llama, about a tenth of its size.

`python -m source.checkpoints.llama_shakespeare_draft`; it needs no network.
"""

from source.checkpoints.plan import Plan
from source.checkpoints.training import run
from source.models import llama

PLAN = Plan(
    "llama-shakespeare-draft",
    llama.Sizes(vocabulary=2048, context=256, width=96, heads=3, kv_heads=1, hidden=256, layers=2),
    steps=2000,
    batch=16,
    rate=4e-3,
    measure_every=50,
    bfloat16=True,
)

if __name__ == "__main__":
    run(PLAN)
