"""Which of several pretraining runs reads better on the labels, and whether to believe it."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.pretraining_verdict import Finding, is_better, last_values
from beast_lp.reports.several_runs_content import SEED, ComparedRun
from beast_lp.reports.style import three_digits
from beast_lp.runs.settings import differing

# the floors that a run has to beat to be worth a word
_BEATABLE = ('pixels', 'random')
# floors of the same labels are equal but for rounding
_SAME_LABELS = 1e-3


def compare_runs(runs: Sequence[ComparedRun], may_differ: Collection[str] = ()) -> list[Finding]:
    """Return which run reads best on the labelled keypoints, and how far that can be believed.

    Args:
        runs: two or more.
        may_differ: settings without an effect on the results.
    """
    errors = {
        run.name: values[0]
        for run in runs
        if (values := last_values(run.metrics, 'probe_px')) is not None
    }
    if len(errors) < 2:
        return [
            Finding(
                None,
                'Which of them reads better on your labels cannot be said: '
                f'{len(errors) or "none"} of the {len(runs)} runs has measured the probe, which '
                'needs labelled frames (data.csv_file) and beast.probe.every_epochs.',
            )
        ]
    measured = [run for run in runs if run.name in errors]
    floors = [last_values(run.metrics, 'probe_constant_px') for run in measured]
    levels = [values[0] for values in floors if values is not None]
    if len(levels) == len(measured) and max(levels) > (1 + _SAME_LABELS) * min(levels):
        return [
            Finding(
                None,
                'Which of them reads better cannot be said: their probes were measured on '
                f'different labels, as a constant prediction is {_listed(levels)} off in them.',
            )
        ]
    return [_best(measured, errors), _belief(measured, errors, may_differ)]


def _best(runs: Sequence[ComparedRun], errors: Mapping[str, float]) -> Finding:
    """Name the run with the least error, and the floors that it does not beat."""
    order = sorted(runs, key=lambda run: errors[run.name])
    best, *others = order
    error = errors[best.name]
    text = f'Your labelled keypoints are read best from {best.name}, to {three_digits(error)} px'
    parts = [
        f'{three_digits(errors[run.name])} px from {run.name} '
        f'({three_digits(round(100 * (1 - error / errors[run.name]), 1))} % less error)'
        for run in others
    ]
    text = f'{text}, against {" and ".join(parts)}'
    unfinished = [f'{run.name} ({run.progress})' for run in order if run.progress != 'finished']
    if unfinished:
        text += f'; not finished: {", ".join(unfinished)}'
    unbeaten = [
        f'{FLOORS[name]} ({three_digits(values[0])} px)'
        for name in _BEATABLE
        if (values := last_values(best.metrics, f'probe_{name}_px'))
        and not is_better(error, values[0])
    ]
    if unbeaten:
        return Finding(False, f'{text}. No run is clearly better than {" and ".join(unbeaten)}.')
    return Finding(True, f'{text}.')


def _belief(
    runs: Sequence[ComparedRun], errors: Mapping[str, float], may_differ: Collection[str]
) -> Finding:
    """Return a sentence on how the difference compares with that between seeds."""
    kinds = _kinds(runs, may_differ)
    values = [[errors[run.name] for run in kind] for kind in kinds]
    if len(kinds) == 1:
        return Finding(
            None,
            'These runs differ in nothing but their seed, so the difference between them is what '
            'chance does to one run.',
        )
    if min(map(len, values)) < 2:
        return Finding(
            None,
            'From one run of each it cannot be told whether the difference comes from the '
            'settings or from chance: another seed alone gives other numbers. Repeat each with '
            'beast.seed=1 and beast.seed=2, and give all runs to --report.',
        )
    spread = max(max(kind) - min(kind) for kind in values)
    first, second, *_ = sorted(float(np.mean(kind)) for kind in values)
    more = second - first > spread
    return Finding(
        more,
        f'Runs that differ in nothing but their seed lie up to {three_digits(spread)} px apart, '
        f'and the means of the two best settings {three_digits(second - first)} px, which is '
        f'{"more than" if more else "no more than"} chance does.',
    )


def _kinds(runs: Sequence[ComparedRun], may_differ: Collection[str]) -> list[list[ComparedRun]]:
    """Return the runs in groups that differ in nothing but their seed."""
    kinds: list[list[ComparedRun]] = []
    for run in runs:
        for kind in kinds:
            if not differing([kind[0].settings, run.settings], (SEED, *may_differ)):
                kind.append(run)
                break
        else:
            kinds.append([run])
    return kinds


def _listed(levels: Sequence[float]) -> str:
    return ' and '.join(f'{three_digits(level)} px' for level in levels)
