"""Train and ship the course's GPT-2.

`python -m source.checkpoints.gpt2_shakespeare`; it needs no network.
"""

from source.checkpoints.plan import Plan
from source.checkpoints.training import run
from source.models import gpt

PLAN = Plan(
    "gpt2-shakespeare",
    gpt.Sizes(vocabulary=2048, context=256, width=256, heads=8, layers=4),
    steps=2000,
    batch=16,
    rate=2e-3,
    measure_every=50,
    bfloat16=True,
)

if __name__ == "__main__":
    run(PLAN)
