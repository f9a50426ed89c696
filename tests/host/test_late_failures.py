"""What the host would refuse after all epochs is refused before the first."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.host import pose
from beast_lp.host.late_failures import late_failures

HEADER = 'scorer,me,me,me,me\nbodyparts,nose,nose,left ear,left ear\ncoords,x,y,x,y\n'


@pytest.fixture
def cfg(tmp_path: Path) -> DictConfig:
    """Return the config of a project with which nothing is wrong."""
    (tmp_path / 'CollectedData.csv').write_text(f'{HEADER}labeled-data/a.png,1,2,3,4\n')
    (tmp_path / 'labeled-data').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'labeled-data' / 'a.png')
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos' / 'a.mp4').touch()
    return OmegaConf.create(
        {
            'data': {
                'data_dir': str(tmp_path),
                'csv_file': 'CollectedData.csv',
                'keypoint_names': ['nose', 'left ear'],
                'num_keypoints': 2,
            },
            'training': {'max_epochs': 5, 'check_val_every_n_epoch': 5},
            'eval': {
                'predict_vids_after_training': True,
                'test_videos_directory': str(tmp_path / 'videos'),
            },
        }
    )


def test_a_good_config_fails_nowhere(cfg: DictConfig) -> None:
    assert late_failures(cfg) == []


@pytest.mark.parametrize(
    ('changes', 'words', 'mend'),
    [
        (
            {'data.keypoint_names': None},
            'keypoint_names is not set; set',
            ("++data.keypoint_names=[nose,'left ear']",),
        ),
        (
            {'data.keypoint_names': None, 'data.num_keypoints': None},
            'keypoint_names is not set; set',
            ("++data.keypoint_names=[nose,'left ear']", '++data.num_keypoints=2'),
        ),
        (
            {'eval.test_videos_directory': '/replace/with/your/path'},
            'finds no videos',
            ('++eval.predict_vids_after_training=false',),
        ),
        (
            {'eval.test_videos_directory': None},
            'test_videos_directory is None',
            ('++eval.predict_vids_after_training=false',),
        ),
        (
            {'eval': {}},
            'predict_vids_after_training is not set',
            ('++eval.predict_vids_after_training=false',),
        ),
        (
            {'training.max_epochs': 4},
            'no weights are kept',
            ('++training.check_val_every_n_epoch=4',),
        ),
        ({'data.csv_file': 'labels.csv'}, r'names .*labels\.csv, where there is no file', ()),
    ],
)
def test_each_failure_is_found_with_what_mends_it(
    cfg: DictConfig,
    changes: dict[str, Any],
    words: str,
    mend: tuple[str, ...],
) -> None:
    for key, value in changes.items():
        OmegaConf.update(cfg, key, value, merge=False)
    (failure,) = late_failures(cfg)
    assert failure.mend == mend
    cfg.model = {'backbone': 'beast', 'model_type': 'heatmap', 'backbone_checkpoint': '/x'}
    cfg.data.image_resize_dims = {'height': 128, 'width': 128}
    with pytest.raises(BeastError, match=f'once all epochs are over: .*{words}'):
        pose.prepare_training(cfg, None)
    # a caller of the host's Python API may leave the evaluation out
    pose.prepare_training(cfg, None, evaluates=False)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\nlabeled-data/a.png,1,2\n', '1 keypoints'),
        (f'{HEADER}labeled-data/gone.png,1,2,3,4\n', 'labelled images are missing'),
        ('nothing', 'cannot be read'),
    ],
)
def test_labels_that_the_host_evaluates_in_the_end_are_read_at_the_start(
    cfg: DictConfig,
    text: str,
    words: str,
) -> None:
    Path(cfg.data.data_dir, 'CollectedData_new.csv').write_text(text)
    (failure,) = late_failures(cfg)
    assert words in str(failure) and failure.mend == ()
    assert 'CollectedData_new.csv' in str(failure)
