"""Train and ship the draft model beside the course's GPT-2, about a tenth of its size.

`python -m source.checkpoints.gpt2_shakespeare_draft`; it needs no network.
"""

from source.checkpoints.plan import Plan
from source.checkpoints.training import run
from source.models import gpt

PLAN = Plan(
    "gpt2-shakespeare-draft",
    gpt.Sizes(vocabulary=2048, context=256, width=96, heads=3, layers=2),
    steps=2000,
    batch=16,
    rate=4e-3,
    measure_every=50,
    bfloat16=True,
)

if __name__ == "__main__":
    run(PLAN)
