"""The figure of worst cases: which lines it has."""

from pathlib import Path

from byzshield.plots.distortion import Curve, draw_epsilon, merged

POINTS = ((2, 0.1, 0.1), (3, 0.2, 0.4))


def test_curves_through_the_same_points_are_one_line_with_both_names_and_the_bound_of_either():
    bound = ((2, 0.2), (3, 0.5))
    curves = [
        Curve(label="mols", points=POINTS),
        Curve(label="cyclic", points=((2, 0.1, 0.1), (3, 0.4, 0.4))),
        Curve(label="ramanujan1", points=POINTS, bound=bound),
    ]
    assert [(curve.label, curve.bound) for curve in merged(curves)] == [("mols = ramanujan1", bound), ("cyclic", ())]


def test_the_figure_names_every_line_of_it_and_is_the_same_each_time(tmp_path: Path) -> None:
    curves = [Curve(label="mols", points=POINTS, bound=((2, 0.2), (3, 5.0)))]
    for name in ("a.svg", "b.svg"):
        draw_epsilon(curves, str(tmp_path / name), title="K = 15")
    svg = (tmp_path / "a.svg").read_text()
    legend = ("mols", "not proved: mols is within", "spectral bound of mols", "half of the files: no rule bears it")
    assert all(f"<!-- {words} -->" in svg for words in ("K = 15", *legend))
    assert svg == (tmp_path / "b.svg").read_text()
