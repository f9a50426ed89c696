"""The synthetic lab: a small, complete Lightning Pose project with known ground truth.

A drawn animal walks, turns, grooms and rests in an arena; its keypoints, its behaviour and the
rates of its simulated neurons are known for every frame. `litpose beast_demo` and the tests of
this package work on it. Nothing in it was recorded from an animal.
"""

from beast_lp.demo.project import write_project
from beast_lp.demo.settings import FULL, TINY, DemoSize

__all__ = ['FULL', 'TINY', 'DemoSize', 'write_project']
