"""Fixtures of the reports."""

import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.reports.page import draw_png
from beast_lp.reports.pretraining_content import PretrainingPictures


@pytest.fixture
def assert_titles_apart() -> Callable[[Figure], None]:
    """Return a check that the titles of neighbouring pictures do not overlap."""

    def check(figure: Figure) -> None:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [axes.title.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
        boxes = [box for box in boxes if box.width > 1]
        for index, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[index + 1 :])

    return check


class Texts(HTMLParser):
    """Collects the text of the page and its headings; what shows only under the pointer is not."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.images = 0
        self.text = ''
        self._tag = ''
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.images += tag == 'img'
        if tag == 'h2':
            self.headings.append('')

    def handle_data(self, data: str) -> None:
        self.text += '' if self._tag == 'title' else data
        if self._tag == 'h2':
            self.headings[-1] += data.strip()


@pytest.fixture
def read_texts() -> Callable[[Path], Texts]:
    """Return what reads the texts of a page."""
    return Texts


def _sheet(count: int, height: int = 12, width: int = 16) -> tuple[np.ndarray, list[str]]:
    images = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)
    return images, [f'frame {index}' for index in range(count)]


@pytest.fixture
def sheet() -> Callable[[int], tuple[np.ndarray, list[str]]]:
    """Return what draws a sheet of so many anchors."""
    return _sheet


@pytest.fixture
def pictures() -> PretrainingPictures:
    rng = np.random.default_rng(0)
    return PretrainingPictures(
        anchor_sheets={'a <1>.mp4': _sheet(3), '007': _sheet(2)},
        originals=rng.random((2, 3, 16, 16)),
        masked=rng.random((2, 3, 16, 16)),
        reconstructed=rng.random((2, 3, 16, 16)),
        snapshots={
            1: rng.integers(0, 256, (2, 3, 16, 16), np.uint8),
            9: rng.integers(0, 256, (2, 3, 16, 16), np.uint8),
        },
        retrieval_anchors=rng.random((3, 3, 16, 16)),
        retrieval_nearest=rng.random((3, 3, 16, 16)),
        retrieval_correct=np.array([True, False, True]),
        retrieval_captions=['one', 'two', 'three'],
        retrieval_shares={'CLS of this model': 0.5, '16 x 16 grey pixels': 1.0},
        retrieval_pairs=4,
        embeddings=rng.normal(size=(8, 4)),
        embedding_video=['a <1>.mp4'] * 4 + ['007'] * 4,
        embedding_time=np.tile(np.linspace(0, 1, 4), 2),
    )


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Return a folder with the three tables of a run."""
    pd.DataFrame(
        {
            'epoch': [0, 1],
            'train_loss': [0.9, 0.5],
            'val_retrieval': [0.25, 0.625],
            'val_retrieval_chance': [0.125, 0.125],
        }
    ).to_csv(tmp_path / 'metrics.csv', index=False)
    pd.DataFrame(
        {
            'video': ['a <1>.mp4', '007', 'cut.mp4', 'gone.mp4'],
            'video_id': ['0010', '1', '2', '3'],
            'frames_read': [300, 400, 120, np.nan],
            'anchors': [3, 40, 2, 0],
            'status': ['ok', 'ok', 'truncated', 'skipped'],
            'message': ['', '', 'ends early at frame 120', 'cannot be opened'],
        }
    ).to_csv(tmp_path / 'videos.csv', index=False)
    pd.DataFrame(
        {
            'video': ['a <1>.mp4'] * 3 + ['007'] * 40,
            'frame': [5, 90, 280, *range(10, 410, 10)],
        }
    ).to_csv(tmp_path / 'anchors.csv', index=False)
    return tmp_path


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
