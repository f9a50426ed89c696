"""Fixtures of the reports."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.page import draw_png


@pytest.fixture
def assert_well_drawn() -> Callable[[Figure], None]:
    """Return a check that draws a figure: its size, not blank, and nothing cut off."""

    def check(figure: Figure) -> None:
        pixels = np.asarray(Image.open(io.BytesIO(draw_png(figure, dpi=120))).convert('RGB'))
        expected = figure.get_size_inches()[::-1] * 120
        np.testing.assert_allclose(pixels.shape[:2], expected, atol=1)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = figure.get_tightbbox(canvas.get_renderer())
        width, height = figure.get_size_inches()
        assert drawn.x0 >= 0 and drawn.y0 >= 0
        assert drawn.x1 <= width and drawn.y1 <= height

    return check
