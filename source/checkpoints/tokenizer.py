"""Learn and ship the course's own tokenizer: `python -m source.checkpoints.tokenizer`. It needs no network.

It writes data/tokenizer. The models are trained on its ids: learn it anew, and they have to be trained anew.
"""

import hashlib
from pathlib import Path

from source.corpus import shakespeare
from source.files import HERE
from source.tokenizers.byte_level import END_OF_TEXT, ByteLevelBPE

VOCABULARY = 2048


def card(tokenizer: ByteLevelBPE, folder: Path) -> str:
    """What it is, what it was learned on, and how many bytes one of its ids stands for, counted here."""
    rows = []
    for part in ("train", "validation"):
        text = shakespeare(part)
        ids = tokenizer.encode(text)
        rows.append(f"| {part} | {len(text.encode()):,} | {len(ids):,} | {len(text.encode()) / len(ids):.2f} |")
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    longest = sorted((tokenizer.decode([i]) for i in range(256, VOCABULARY - 1)), key=len, reverse=True)[:8]
    return f"""# tokenizer: byte-level BPE over Shakespeare

Written by `python -m source.checkpoints.tokenizer`; edit the script, not this file.

{VOCABULARY:,} ids: the 256 bytes, {VOCABULARY - 257:,} merges in the order in which they were learned, and
`{END_OF_TEXT}`. Text is cut by GPT-2's pattern first (`source/tokenizers/byte_level.py`). The longest tokens:
{", ".join(f"`{token!r}`" for token in longest)}.

| file | holds |
|---|---|
| `vocab.json`, `merges.txt` | GPT-2's two files; the course reads these |
| `tokenizer.json`, `tokenizer_config.json` | the same for `transformers` and what is built on it |

sha256 of `tokenizer.json`: `{digest}`. Every model that reads these ids carries a copy of the four files.

Learned on the training part of the course's Shakespeare (`data/shakespeare`), which is in the public domain. Licence:
the course's (MIT).

| part | bytes | ids | bytes an id |
|---|---|---|---|
{chr(10).join(rows)}
"""


def main() -> None:
    """Learn, save, and say how well it does."""
    folder = HERE.parent / "data" / "tokenizer"
    tokenizer = ByteLevelBPE.train([shakespeare("train")], VOCABULARY)
    tokenizer.save(folder)
    (folder / "card.md").write_text(card(tokenizer, folder), encoding="utf-8")
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
