"""The package's commands inside `litpose`, each a module that follows the host's contract.

A module here holds a parser and hands over to the job of the same name in `beast_lp.host.jobs`.
`litpose` imports every command at its start, so what a command needs to run is imported in its
`handle`: first what reads and checks the config, and torch only when that has passed.

Adding a new command: write `commands/<name>.py` with `register_parser`, `handle` and
`get_parser = parser_of(register_parser)`, its job in `jobs/<name>.py`, and enter it below. The
tests of the help take its name from there.
"""

from types import ModuleType

from beast_lp.host.commands import (
    beast_demo,
    compare,
    embed,
    encode,
    motion_bbox,
    pretrain,
    segment,
    suggest_frames,
)

COMMANDS: dict[str, ModuleType] = {
    'pretrain': pretrain,
    'embed': embed,
    'encode': encode,
    'segment': segment,
    'compare': compare,
    'suggest_frames': suggest_frames,
    'motion_bbox': motion_bbox,
    'beast_demo': beast_demo,
}
