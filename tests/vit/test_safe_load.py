"""Files of others: settings beside the weights are read, code is not run."""

import argparse
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import OmegaConf

from beast_lp.errors import BeastError, sentence_of
from beast_lp.vit.safe_load import damaged_part, read_checkpoint, read_tensors

WEIGHTS = {'vit.weight': torch.arange(3.0)}


class Unknown:
    """A class that no list knows."""


@pytest.mark.parametrize(
    'settings',
    [
        OmegaConf.create({'lr': 1e-3, 'layers': [1, {'name': None}], 'on': True}),
        OmegaConf.create(['a', 2]),
        argparse.Namespace(lr=1e-3, path=Path('data')),
        {'dir': Path('data'), 'seen': {1, 2}, 'nested': [{'a': (1, 2)}]},
    ],
    ids=['mapping', 'list', 'namespace', 'plain'],
)
def test_a_lightning_checkpoint_with_pickled_settings_is_read(
    tmp_path: Path,
    settings: object,
) -> None:
    path = tmp_path / 'authors.ckpt'
    before = set(torch.serialization.get_safe_globals())
    torch.save({'state_dict': WEIGHTS, 'hyper_parameters': settings, 'epoch': 3}, path)
    tensors, shape = read_tensors(path)
    assert torch.equal(tensors['vit.weight'], WEIGHTS['vit.weight'])
    assert shape == ''
    # the list is for these reads alone
    assert set(torch.serialization.get_safe_globals()) == before


def test_an_unknown_class_is_named_and_refused(tmp_path: Path) -> None:
    path = tmp_path / 'theirs.ckpt'
    torch.save({'state_dict': WEIGHTS, 'config': Unknown()}, path)
    with pytest.raises(BeastError, match=r'Unknown\).*\.safetensors') as error:
        read_tensors(path)
    assert '\n' not in str(error.value)


def test_a_function_to_be_called_is_refused(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / 'ran',)

    for name, save in (('new.ckpt', torch.save), ('plain.pt', _pickle)):
        save({'state_dict': WEIGHTS, 'x': Payload()}, tmp_path / name)
        with pytest.raises(BeastError, match='code'):
            read_tensors(tmp_path / name)
    assert not (tmp_path / 'ran').exists()


def _pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def test_a_file_without_tensors_gets_a_sentence(tmp_path: Path) -> None:
    torch.save({'state_dict': {}}, tmp_path / 'empty.pt')
    torch.save([1, 2], tmp_path / 'list.pt')
    safetensors.torch.save_file({}, tmp_path / 'empty.safetensors')
    for name in ('empty.pt', 'list.pt', 'empty.safetensors'):
        with pytest.raises(BeastError, match='holds no tensors'):
            read_tensors(tmp_path / name)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_a_checkpoint_with_a_flipped_byte_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / 'last.ckpt'
    torch.save({'state_dict': WEIGHTS, 'epoch': 3}, path)
    assert damaged_part(path) == '' and read_checkpoint(path)['epoch'] == 3
    # within the numbers, which torch would read as others
    _flip(path, path.read_bytes().index(WEIGHTS['vit.weight'].numpy().tobytes()) + 5)
    assert torch.load(path, weights_only=True)['epoch'] == 3
    assert damaged_part(path).endswith('/data/0')
    with pytest.raises(BeastError, match=r'last\.ckpt is damaged: its part .*/data/0 is not what'):
        read_checkpoint(path)
    path.write_bytes(b'no archive')
    assert damaged_part(path) == ''


@pytest.mark.parametrize('name', ['w.safetensors', 'w.ckpt'])
@pytest.mark.parametrize('target', ['w', 'nowhere'])
def test_a_link_to_nothing_is_called_by_its_name(name: str, target: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.symlink_to(name if target == 'w' else target)
    with pytest.raises(OSError, match=name) as error:
        read_tensors(path)
    sentence = sentence_of(error.value)
    assert sentence is not None and sentence.startswith(str(path))
