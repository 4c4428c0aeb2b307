import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.summary.plan import check_labels, group_cells, resolve_targets


def groups(labels, control="c"):
    return group_cells(np.array(labels, object), control)


def test_groups_are_numbered_by_code_point():
    g = groups(["b", "c", "B", "b"])
    assert g.labels == ("B", "b", "c")
    assert g.codes.tolist() == [1, 2, 0, 1]
    assert g.control_code == 2
    assert g.perturbations == ("B", "b")


def test_groups_without_the_control_keep_their_order():
    g = groups(["b", "c", "x", "b", "a"]).without_control()
    assert g.labels == ("a", "b", "x")
    assert g.codes.tolist() == [1, -1, 2, 1, 0]
    assert g.control_code == -1
    assert g.without_control() is g


def test_a_missing_label_is_called_nan_and_unused_cells_have_no_group():
    g = group_cells(np.array(["a", None, "c"], object), "c", np.array([True, True, False]))
    assert g.labels == ("a", "nan")
    assert g.codes.tolist() == [0, 1, -1]
    assert g.control_code == -1


def test_integer_labels_become_text():
    assert groups([2, 10, 2], control="10").labels == ("10", "2")


def test_labels_that_differ_are_listed():
    with pytest.raises(DataError, match=r"only in pred\.h5ad: 'x'; only in real\.h5ad: 'b'"):
        check_labels(
            groups(["x", "a"]), groups(["a", "b", "c"]), pred_needs_control=False, names=("pred.h5ad", "real.h5ad")
        )


def test_a_reference_without_control_is_refused():
    with pytest.raises(DataError, match=r"no cell is labelled 'c'.*--control"):
        check_labels(groups(["a"]), groups(["a"]), pred_needs_control=False, names=("p", "r"))


def test_the_prediction_needs_a_control_only_where_it_is_read():
    check_labels(groups(["a"]), groups(["a", "c"]), pred_needs_control=False, names=("p", "r"))
    with pytest.raises(DataError, match="the prediction's own control cells"):
        check_labels(groups(["a"]), groups(["a", "c"]), pred_needs_control=True, names=("p", "r"))


def test_a_reference_of_control_cells_only_is_refused():
    with pytest.raises(DataError, match="there is no perturbation to score"):
        check_labels(groups(["c"]), groups(["c"]), pred_needs_control=False, names=("p", "r"))


@pytest.mark.parametrize(
    ("labels", "target_map", "found"),
    [
        (("g1", "x"), None, ("g1", None)),
        (("a", "b"), {"a": "g2", "b": None}, ("g2", None)),
        (("a", "b"), {"a": "absent", "b": "g1"}, (None, "g1")),
        (("a", "b"), {"*": None}, (None, None)),
        (("a", "g1"), {"a": "g2"}, ("g2", "g1")),
        (("a", "g1"), {"a": "g2", "*": None}, ("g2", None)),
    ],
)
def test_targets_resolve_by_map_then_by_name(labels, target_map, found):
    assert resolve_targets(labels, ["g1", "g2"], target_map) == found


def test_no_resolved_target_is_refused():
    with pytest.raises(DataError, match=r"--target-map"):
        resolve_targets(["a"], ["g1"], None)
