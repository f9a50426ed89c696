"""Interpolations that stand for more than any memory holds are refused, and not resolved."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.runs.interpolations import check_interpolations

FILE = Path('config.yaml')


def _chain(text: str, links: int = 60) -> dict[str, object]:
    return {'end': 'x', **{f'a{n}': text.format(next=f'a{n + 1}') for n in range(links)}}


@pytest.mark.parametrize(
    'values',
    [
        _chain('${{{next}}}${{{next}}}'),
        {'beast': {'seed': 1}, 'data': _chain('${{.{next}}}, ${{.{next}}}')},
        _chain('${{oc.select:{next}}}${{oc.select:{next}}}'),
        _chain('${{oc.decode:${{{next}}}}}${{{next}}}'),
        {'end': 'x', **{f'a{n}': [f'${{a{n + 1}}}'] * 3 for n in range(40)}},
        {'end': 'x', **{f'a{n}': {'b': [f'${{a{n + 1}}}', f'${{a{n + 1}}}']} for n in range(60)}},
        {'a': 'x' * 100_000, 'b': '${a}' * 1000},
        {'name': 'x' * 200, 'a': '${${name}}', 'b': '${${name}}${${name}}${${name}}'},
    ],
)
def test_what_would_grow_without_end_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(BeastError, match=r'config\.yaml stands for more than 10000000') as error:
        check_interpolations(values, FILE)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'values',
    [
        None,
        'x',
        {'data': {'data_dir': '/d', 'video_dir': '${data.data_dir}/videos'}},
        {'data': {'views': ['a', 'b'], 'first': '${.views[0]}', 'v': '${..data.views.1}'}},
        {'a': '${b}', 'b': '${a}'},
        {'a': '${nowhere}', 'b': '${oc.env:HOME,/tmp}', 'c': 'costs $5 {a}'},
        {'name': 'a', 'a': 1, 'b': '${${name}}'},
        _chain('${{{next}}}', links=300),
        {str(number): '${a}' for number in range(10_000)} | {'a': 'text'},
    ],
)
def test_configs_of_people_pass(values: object) -> None:
    check_interpolations(values, FILE)
