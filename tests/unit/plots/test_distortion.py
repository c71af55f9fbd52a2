"""The figure of worst cases: which lines it has."""

from byzshield.plots.distortion import Curve, merged

POINTS = ((2, 0.1, 0.1), (3, 0.2, 0.4))


def test_curves_through_the_same_points_are_one_line_with_both_names_and_the_bound_of_either():
    bound = ((2, 0.2), (3, 0.5))
    curves = [
        Curve(label="mols", points=POINTS),
        Curve(label="cyclic", points=((2, 0.1, 0.1), (3, 0.4, 0.4))),
        Curve(label="ramanujan1", points=POINTS, bound=bound),
    ]
    assert [(curve.label, curve.bound) for curve in merged(curves)] == [("mols = ramanujan1", bound), ("cyclic", ())]
