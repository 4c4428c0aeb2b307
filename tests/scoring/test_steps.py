from vcmetrics.scoring.steps import UNITS, Steps


def test_steps_share_one_total_and_never_go_back():
    seen = []
    steps = Steps(lambda done, total: seen.append((done, total)))
    steps.expect(4)
    steps(1, 2)
    steps(2, 2)
    steps(1, 10)  # the same step reads the cells a second time
    steps.next()
    steps(1, 4)
    steps.reach(4)  # the rest was found in a cache
    assert {total for _, total in seen} == {4 * UNITS}
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert done[0] == UNITS // 2
    assert done[-2:] == [UNITS + UNITS // 4, 4 * UNITS]


def test_more_than_expected_stays_within_the_total():
    seen = []
    steps = Steps(lambda done, total: seen.append((done, total)))
    for _ in range(3):
        steps(5, 5)
        steps.next()
    assert max(done for done, _ in seen) == UNITS
