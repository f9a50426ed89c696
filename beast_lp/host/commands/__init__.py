"""The package's commands inside `litpose`, each a module as the host's contract wants it."""

from types import ModuleType

from beast_lp.host.commands import beast_demo, compare, embed, encode, pretrain, segment

COMMANDS: dict[str, ModuleType] = {
    'pretrain': pretrain,
    'embed': embed,
    'encode': encode,
    'segment': segment,
    'compare': compare,
    'beast_demo': beast_demo,
}
