"""The classes of a project, and the labels of a video in terms of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from beast_lp.config.checks import nearest
from beast_lp.errors import BeastError
from beast_lp.segmentation.labelling import BACKGROUND, EXCLUSIVE, UNSCORED, Labelling

# names of columns and cells in the tables that a run writes beside those of the classes
_TAKEN = ('frame', 'scored', 'predicted', 'unscored')


@dataclass(frozen=True)
class Labels:
    """Labels of the frames of one video.

    Attributes:
        classes: names, in the order of the class numbers.
        target: code of every frame in the labelling, `UNSCORED` where nobody scored it.
        labelling: whether a frame has one class or any number of them.
    """

    classes: tuple[str, ...]
    target: Int[np.ndarray, ' frames']
    labelling: Labelling = EXCLUSIVE

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.target)


def class_list(
    found: Iterable[Sequence[str]],
    wanted: Sequence[str] | None,
    ignored: Sequence[str],
    background_is_class: bool,
    labelling: Labelling = EXCLUSIVE,
) -> tuple[str, ...]:
    """Return the classes of a project, `background` first where it is one.

    Args:
        found: classes of each label file.
        wanted: classes that the config names; None for all that were found.
        ignored: classes to leave out.
        background_is_class: whether `background` is learned as a class of its own, where a frame
            has to have one.
        labelling: whether a frame has one class or any number of them.

    Raises:
        BeastError: if fewer than two classes are left, no label file has a name, or a class
            cannot have its name.

    Examples:
        >>> class_list([('background', 'walk', 'groom')], None, [], background_is_class=False)
        ('walk', 'groom')
    """
    names = list(dict.fromkeys(name for classes in found for name in classes))
    for key, values in (('classes', wanted or ()), ('ignore', ignored)):
        unknown = next((name for name in values if name not in names), None)
        if unknown is not None:
            raise BeastError(
                f'beast.segmentation.{key} names {unknown!r}, which no label file has'
                f'{nearest(unknown, names)}'
            )
    chosen = [name for name in (wanted or names) if name not in ignored and name != BACKGROUND]
    if background_is_class and not labelling.allows_none:
        chosen = [BACKGROUND, *chosen]
    check_class_names(chosen)
    if len(chosen) < 2:
        alone = ' and multi_label=false' if labelling.allows_none else ''
        raise BeastError(
            f'the project has {len(chosen)} class to learn ({", ".join(chosen) or "none"}), and '
            'telling behaviours apart needs two; score another behaviour, or set '
            f'beast.segmentation.background=class{alone} to tell it from background'
        )
    return tuple(chosen)


def check_class_names(names: Sequence[str]) -> None:
    """Check, before the work, that the names of classes serve in all that a run writes.

    Args:
        names: the classes of a project.

    Raises:
        BeastError: if a name is empty, cannot be printed, is taken, or differs from another
            in upper and lower case only.

    Examples:
        >>> check_class_names(['background', 'walk', 'rear/sniff'])
    """
    seen: dict[str, str] = {}
    for name in names:
        problem = ''
        if not name.strip() or not name.isprintable():
            problem = 'is empty or holds characters that cannot be printed'
        elif name.casefold() in _TAKEN:
            problem = 'means something else in the tables that a run writes'
        elif name.casefold() == BACKGROUND and name != BACKGROUND:
            problem = f'is {BACKGROUND} in other letters'
        elif name.casefold() in seen:
            problem = f'is {seen[name.casefold()]!r} in other letters'
        if problem:
            raise BeastError(
                f'the class name {name!r} {problem}; rename it in the label files, or leave it '
                'out with beast.segmentation.ignore'
            )
        seen[name.casefold()] = name


def project_labels(
    labels: Labels,
    classes: Sequence[str],
    ignored: Sequence[str],
    background_is_class: bool,
    source: Path,
) -> Labels:
    """Return labels in terms of the project's classes; frames of other classes become unscored.

    Where a frame may have several classes, one that has others beside ignored ones keeps those,
    and background means that it has none.

    Args:
        labels: labels of one video.
        classes: classes of the project, from `class_list`.
        ignored: names of classes whose frames count as unscored.
        background_is_class: whether `background` is a class; else nobody scored such frames.
        source: file of the labels, for the message.

    Raises:
        BeastError: if the labels have a class that is neither the project's nor ignored.

    Examples:
        >>> labels = Labels(('background', 'walk', 'groom'), np.array([0, 1, 2]))
        >>> project_labels(labels, ('groom', 'walk'), [], False, Path('a.csv')).target.tolist()
        [-1, 1, 0]
    """
    labelling, own = labels.labelling, labels.labelling.flags(labels.target, len(labels.classes))
    shown = np.zeros((len(labels), len(classes)), dtype=bool)
    dropped = np.zeros(len(labels), dtype=bool)
    for number, name in enumerate(labels.classes):
        if name in classes:
            shown[:, list(classes).index(name)] = own[:, number]
        elif name in ignored:
            dropped |= own[:, number]
        elif name == BACKGROUND:
            dropped |= own[:, number] & (not (background_is_class or labelling.allows_none))
        elif own[:, number].any():
            raise BeastError(
                f"{source} has the class {name!r}, which is not one of the project's classes "
                f'{", ".join(classes)}{nearest(name, list(classes))} (add it to '
                'beast.segmentation.classes, or to beast.segmentation.ignore)'
            )
    unscored = (labels.target == UNSCORED) | (dropped & ~shown.any(axis=1))
    target = np.where(unscored, UNSCORED, labelling.from_flags(shown))
    return Labels(tuple(classes), target, labelling)
