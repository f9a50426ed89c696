"""Fixtures of the reports."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.page import save_figure


@pytest.fixture
def assert_well_drawn(tmp_path: Path) -> Callable[[Figure], None]:
    """Return a check that saves a figure: its size, not blank, and nothing cut off."""

    def check(figure: Figure) -> None:
        path = tmp_path / 'figure.png'
        save_figure(figure, path, dpi=120)
        pixels = np.asarray(Image.open(path).convert('RGB'))
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
