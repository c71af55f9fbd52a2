"""The picture of who voted like whom: a row and a column a worker."""

from functools import partial
from typing import TYPE_CHECKING, Final

from byzshield.plots.cells import draw_cells, frame_cells
from byzshield.plots.document import Figure, Key
from byzshield.plots.records import Agreement, Placement
from byzshield.plots.theme import BAD, SERIES, WARN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["agreement_figure"]

ALWAYS: Final = 1.0
BANDS: Final = (
    (ALWAYS, "always alike", SERIES[0]),
    (0.5, "alike on half or more", SERIES[3]),
    (0.0, "on less than half", WARN),
    (-1.0, "never", BAD),
)  # the share above which, or at which, a pair is in a band; the first that fits


def agreement_figure(agreement: Agreement, placement: Placement, name: str, *, about: str = "") -> Figure:
    """Draws on which share of the files that two workers both voted on their votes were equal.

    Args:
        agreement: the counts.
        placement: whose Byzantine workers stand first.
        name: of the figure.
        about: which run's.
    """
    shares = {(low, high): 1 - unlike / common for low, high, common, unlike in agreement.pairs}
    order = sorted(range(placement.num_workers), key=lambda worker: (worker not in placement.byzantine, worker))
    bands: dict[int, list[tuple[int, int]]] = {index: [] for index in range(len(BANDS))}
    place = {worker: index for index, worker in enumerate(order)}
    for (low, high), share in shares.items():
        cell = place[low], place[high]
        bands[_band(share)] += [cell, cell[::-1]]
    found = {index: cells for index, cells in bands.items() if cells}
    return Figure(
        name=name,
        title="common files on which two workers voted alike (blank: none in common)",
        about=about,
        text=_in_words(agreement, placement),
        draw=partial(_draw, found, [str(worker) for worker in order], len(placement.byzantine)),
        keys=tuple(Key(label=BANDS[index][1], color=BANDS[index][2], area=True) for index in found),
        size=(4.2, 4.2),
    )


def _band(share: float) -> int:
    if share <= 0:
        return len(BANDS) - 1
    return next(index for index, (least, *_) in enumerate(BANDS) if share >= least)


def _in_words(agreement: Agreement, placement: Placement) -> str:
    byzantine = set(placement.byzantine)
    kinds: dict[str, list[float]] = {}
    for low, high, common, unlike in agreement.pairs:
        kind = ("two honest workers", "an honest and a Byzantine one", "two Byzantine ones")[
            (low in byzantine) + (high in byzantine)
        ]
        kinds.setdefault(kind, []).append(1 - unlike / common)
    said = [f"{kind} {sum(shares) / len(shares):.0%}" for kind, shares in kinds.items()]
    return f"Mean share of common files with equal votes, up to step {agreement.step}: {'; '.join(said)}"


def _draw(bands: dict[int, list[tuple[int, int]]], names: list[str], num_marked: int, axes: "Axes") -> None:
    for index, cells in bands.items():
        draw_cells(axes, cells, (len(names), len(names)), color=BANDS[index][2])
    frame_cells(axes, names, names, marked=range(num_marked))
    axes.set_xlabel("worker")
    axes.set_ylabel("worker, Byzantine ones first" if num_marked else "worker")
