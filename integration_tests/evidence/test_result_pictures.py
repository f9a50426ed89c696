"""The pictures of the results show the numbers of their tables."""

import io
import json

import numpy as np
from PIL import Image
from result_pictures import FEATURES, KEY, PAGE, draw_features, features_of


def test_the_picture_is_that_of_the_table_and_small() -> None:
    curves = features_of(PAGE.read_text(encoding='utf-8'))
    assert curves['mirror_mouse']['BEAST, laptop']['25'] == 24.86
    assert [*curves['fly_courtship, crops']['pixels'].values()] == [24.93, 16.4, 12.83]
    with Image.open(FEATURES) as image:
        assert json.loads(image.info[KEY]) == curves
    pictures = FEATURES.parent.iterdir()
    assert sum(path.stat().st_size for path in pictures) < 300_000
    assert f'(pictures/{FEATURES.name})' in PAGE.read_text(encoding='utf-8')


def test_another_table_is_another_picture() -> None:
    text = PAGE.read_text(encoding='utf-8')
    first, second = (
        np.asarray(Image.open(io.BytesIO(draw_features(features_of(page)))).convert('RGB'))
        for page in (text, text.replace('26.2, 25.4 |', '6.2, 5.4 |'))
    )
    assert first.shape == second.shape
    assert (first != second).any()
