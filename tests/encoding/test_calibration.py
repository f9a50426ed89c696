"""The verdict on simulated sessions; `calibration.py` of the quality tests measures many more."""

import calibration
import pytest


@pytest.mark.parametrize('name', ['noise', 'random walks'])
def test_features_without_a_relation_are_rarely_called_evidence(name: str) -> None:
    table = calibration.verdicts(calibration.UNRELATED[name], range(60))
    # of 60 sessions 3 by chance; 9 or more in 0.4 % of such tests
    assert table.evidence.sum() < 9
    assert table.neurons.mean() < 0.12


def test_cosines_of_time_are_never_evidence() -> None:
    table = calibration.verdicts(calibration.UNRELATED['cosines of time'], range(20))
    assert not table.evidence.any()
    assert table.over_drift.abs().max() < 1e-3


def test_weak_features_are_found() -> None:
    table = calibration.verdicts(
        calibration.movement, range(10), calibration.weak_gain(), neurons=calibration.MANY_NEURONS
    )
    assert table.evidence.mean() >= 0.9
