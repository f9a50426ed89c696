"""Reading pose configs: what is wrong in the file is said before any work begins."""

from pathlib import Path

import pytest

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import compose_config, load_config, pose_image_size


@pytest.mark.parametrize(
    'text',
    [
        'beast: ${data.nope}\ndata: {video_dir: videos}\n',
        'beast: {seed: 1}\ndata: {video_dir: "${data.nope}/videos"}\n',
    ],
)
def test_a_name_between_braces_that_leads_nowhere_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(BeastError, match=r'c\.yaml: .*data\.nope') as error:
        compose_config(file, [])
    assert '\n' not in str(error.value)
    cfg = compose_config(file, ['data.video_dir=/v', '++data.nope={seed: 3}'])
    assert cfg.data.video_dir == '/v'


@pytest.mark.parametrize('overrides', [[], ['beast.training.epochs=3'], ['beast.seed=1', 'x=2']])
def test_a_word_in_place_of_the_section_is_refused_and_not_replaced(
    overrides: list[str],
    tmp_path: Path,
) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('x: 1\nbeast: laptop\n')
    with pytest.raises(BeastError, match="found 'laptop'; write .* `beast: {preset: laptop}`"):
        parse_config(compose_config(file, overrides).beast)
    with pytest.raises(BeastError, match="found 'vit_tiny'; write .* `beast: {preset: vit_tiny}`"):
        parse_config(compose_config(file, ['beast=vit_tiny', *overrides]).beast)


def test_an_override_replaces_no_value_of_a_group(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('beast: {training: 3, model: null}\n')
    with pytest.raises(BeastError, match='beast.training must be a mapping of settings, found 3'):
        compose_config(file, ['beast.training.epochs=3'])
    cfg = compose_config(file, ['beast.training={epochs: 3}', 'beast.model.patch_size=8'])
    assert (cfg.beast.training.epochs, cfg.beast.model.patch_size) == (3, 8)


def test_a_config_that_is_not_utf_8_is_named_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_bytes(b'data: {video_dir: caf\xe9}\n')
    with pytest.raises(BeastError, match=r"c\.yaml: .*byte 0xe9 after 'data: {video_dir: caf'"):
        compose_config(file, [])


@pytest.mark.parametrize(
    'text',
    [
        '7\n',
        '- 1\n',
        'data: &a [*a]\n',
        'data: ' + '[' * 10_000 + ']' * 10_000,
        'data: !lab {}\n',
        'data: {a: "${data.a}"}\n',
        '\0',
    ],
    ids=['number', 'list', 'circle', 'depth', 'tag', 'interpolation', 'NUL'],
)
def test_a_file_that_is_no_config_gets_one_sentence(text: str, tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(BeastError, match=r'c\.yaml') as error:
        compose_config(file, [])
    assert '\n' not in str(error.value) and len(str(error.value)) < 1500


@pytest.mark.parametrize('group', ['data', 'model', 'training'])
@pytest.mark.parametrize('value', ['mouse', '[1]', '3'])
def test_a_group_of_the_host_that_is_none_gets_a_sentence(
    group: str, value: str, tmp_path: Path
) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(f'{group}: {value}\n')
    with pytest.raises(BeastError, match=f'{group} must be a mapping of settings, found'):
        compose_config(file, [])


def test_image_sizes_of_the_host_are_numbers_or_get_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('data: {image_resize_dims: {height: 64, width: 32}}\n')
    assert pose_image_size(compose_config(file, [])) == (64, 32)
    file.write_text('data: {image_resize_dims: [64, 32]}\n')
    with pytest.raises(BeastError, match='data.image_resize_dims must be a mapping of settings'):
        compose_config(file, [])
    for value in ('many', '[1]', '.nan', '.inf'):
        file.write_text(f'data: {{image_resize_dims: {{height: {value}, width: 32}}}}\n')
        with pytest.raises(BeastError, match='height must be a whole number, found'):
            pose_image_size(compose_config(file, []))


_BOMB = 'end: x\n' + ''.join(f'a{n}: "${{a{n + 1}}}${{a{n + 1}}}"\n' for n in range(60))


@pytest.mark.parametrize('overrides', [[], ['beast.seed=1']])
def test_interpolations_that_repeat_each_other_are_refused(
    overrides: list[str], tmp_path: Path
) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(f'{_BOMB}beast: ${{a0}}\n')
    with pytest.raises(BeastError, match='interpolations .* repeat each other'):
        compose_config(file, overrides)
    with pytest.raises(BeastError, match='interpolations .* repeat each other'):
        load_config(file)


@pytest.mark.parametrize(
    'text',
    ['7\n', '- 1\n', 'a: ' + '[' * 10_000, 'a: [1', 'a: !x {}\n', 'a: \x01\n', ''],
)
def test_a_config_of_a_model_that_is_none_gets_a_sentence(text: str, tmp_path: Path) -> None:
    file = tmp_path / 'config.yaml'
    file.write_text(text)
    if not text:
        assert load_config(file) == {}
        return
    with pytest.raises(BeastError, match=r'config\.yaml (cannot be read as|holds no)') as error:
        load_config(file)
    assert '\n' not in str(error.value)
