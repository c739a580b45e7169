"""Train and ship the byte-level GPT-2 of Chapters 2 and 3.

`python -m source.checkpoints.gpt2_bytes`; it needs no network.
"""

from source.checkpoints.plan import Plan
from source.checkpoints.training import run
from source.models import gpt

PLAN = Plan("gpt2-bytes", gpt.Sizes(vocabulary=256, context=128, width=128, heads=4, layers=4))

if __name__ == "__main__":
    run(PLAN)
