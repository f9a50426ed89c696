"""The classes of a project, and labels in terms of them."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import UNSCORED, Labels, class_list, project_labels
from beast_lp.segmentation.labelling import INDEPENDENT


def test_background_is_unscored_or_a_class() -> None:
    labels = Labels(('background', 'walk', 'groom', 'odd'), np.array([0, 1, 2, 3, UNSCORED]))
    classes = class_list([labels.classes], None, ['odd'], False)
    assert classes == ('walk', 'groom')
    path = Path('a.csv')
    assert project_labels(labels, classes, ['odd'], False, path).target.tolist() == [
        -1,
        0,
        1,
        -1,
        -1,
    ]
    classes = class_list([labels.classes], ['groom', 'walk'], ['odd'], True)
    assert classes == ('background', 'groom', 'walk')
    assert project_labels(labels, classes, ['odd'], True, path).target.tolist() == [
        0,
        2,
        1,
        -1,
        -1,
    ]


def test_an_unknown_class_gets_a_sentence() -> None:
    labels = Labels(('background', 'walk', 'grom'), np.array([2, 1]))
    with pytest.raises(BeastError, match=r"'grom'.*did you mean 'groom'"):
        project_labels(labels, ('walk', 'groom'), [], False, Path('a.csv'))
    with pytest.raises(BeastError, match=r"classes names 'wlk'.*did you mean 'walk'"):
        class_list([labels.classes], ['wlk', 'grom'], [], False)


def test_a_project_of_one_class_gets_a_sentence() -> None:
    with pytest.raises(BeastError, match=r'1 class to learn \(walk\)'):
        class_list([('background', 'walk')], None, [], False)
    assert class_list([('background', 'walk')], None, [], True) == ('background', 'walk')


@pytest.mark.parametrize(
    'name',
    ['', ' ', 'a\nb', '\0', 'scored', 'frame', 'unscored', 'Unscored', 'Background', 'Walk'],
)
def test_a_name_that_no_class_can_have_is_refused_before_the_work(name: str) -> None:
    found = [('background', 'walk', name)]
    with pytest.raises(BeastError, match=r'the class name .* rename it .* or leave it out'):
        class_list(found, None, [], True)
    assert class_list(found, None, [name], True) == ('background', 'walk')
    assert class_list(found, ['walk'], [], True) == ('background', 'walk')


def test_signs_in_a_class_name_do_no_harm() -> None:
    odd = ('walk/run', r'$\frac$', '../up', '<b>', 'nan', '_a', 'gähnen')
    assert class_list([('background', *odd)], None, [], False) == odd


def test_frames_of_several_classes_lose_ignored_ones_only() -> None:
    names = ('background', 'walk', 'groom', 'odd')
    # background, walk, walk and groom, odd, odd and groom, nothing, unscored
    labels = Labels(names, np.array([1, 2, 6, 8, 12, 0, UNSCORED]), INDEPENDENT)
    found = project_labels(labels, ('groom', 'walk'), ['odd'], False, Path('a.csv'))
    assert found.target.tolist() == [0, 2, 3, UNSCORED, 1, 0, UNSCORED]
    assert found.labelling is INDEPENDENT
    with pytest.raises(BeastError, match="the class 'odd'"):
        project_labels(labels, ('groom', 'walk'), [], False, Path('a.csv'))


def test_background_is_no_behaviour_among_several_at_once() -> None:
    found = [('background', 'walk', 'groom')]
    assert class_list(found, None, [], True, INDEPENDENT) == ('walk', 'groom')
    with pytest.raises(BeastError, match='background=class and multi_label=false'):
        class_list([('background', 'walk')], None, [], True, INDEPENDENT)
