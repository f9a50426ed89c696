"""Events of a video as labels of its frames."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.boris_labels import Event, events_to_labels


@pytest.mark.parametrize(
    ('events', 'words'),
    [
        ([Event('walk', 0, 0.5), Event('groom', 0.4, 0.8)], ['walk', 'groom', 'overlap']),
        ([Event('walk', 3, 4)], ['starts at 3 s', 'video ends at 0.90 s']),
    ],
)
def test_impossible_events_get_a_sentence(events: list[Event], words: list[str]) -> None:
    with pytest.raises(BeastError) as error:
        events_to_labels(
            events, ['background', 'walk', 'groom'], np.arange(10) / 10, Path('a.csv')
        )
    assert all(word in str(error.value) for word in words), str(error.value)


def test_events_at_one_time_get_a_sentence() -> None:
    def labels(*events: Event, ignored: tuple[str, ...] = ()) -> list[int]:
        classes = ['background', 'groom', 'walk']
        return events_to_labels(
            events, classes, np.arange(12) / 30, Path('a.csv'), ignored
        ).target.tolist()

    for events in (
        [Event('walk', 0, 0.3), Event('walk', 0.1, 0.2), Event('groom', 0.25, 0.3)],
        [Event('walk', 0.1, 0.1), Event('groom', 0.1, 0.3)],
        [Event('walk', 0.101, 0.101), Event('groom', 0.102, 0.102)],
    ):
        with pytest.raises(BeastError, match='walk .*groom .*a frame has one behaviour'):
            labels(*events)
    # what is ignored is under the others
    ignored = [Event('walk', 0, 0.2), Event('groom', 0.1, 0.3)]
    for name in ('walk', 'groom'):
        other = ({'groom': 1, 'walk': 2}.keys() - {name}).pop()
        assert labels(*ignored, ignored=(name,)).count({'groom': 1, 'walk': 2}[other]) == 6
