"""What one hand-in may use. Numbers only: engine, child and sandbox hold it to them."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    notebook_seconds: float = 300.0  # from the first cell to the last case
    cell_seconds: float = 120.0
    case_seconds: float = 60.0
    memory: int = 4 << 30  # beyond what the libraries take, all its processes together
    processes: int = 128  # threads included
    open_files: int = 512
    scratch: int = 256 << 20  # files it writes
    output_characters: int = 200_000  # of each stream of a cell
    notebook_output: int = 8 << 20  # of all cells

    @property
    def cells_seconds(self) -> float:
        """What the cells may take together: hidden cases run after the last one and need the rest."""
        return 0.8 * self.notebook_seconds

    def plain(self) -> dict[str, Any]:
        """For the wire and the ledger."""
        return asdict(self)
