"""Hashes of content."""

from beast_lp.runs.keys import key_of


def test_a_key_depends_on_every_value_and_not_on_the_order_of_names() -> None:
    values = {'seed': 0, 'anchors': {'strategy': 'distinct', 'per_video': 5}}
    same = {'anchors': {'per_video': 5, 'strategy': 'distinct'}, 'seed': 0}
    assert key_of(values) == key_of(same)
    assert len({key_of({**values, 'seed': seed}) for seed in (0, 1, None, '0')}) == 4
