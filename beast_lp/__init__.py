"""BEAST video backbones inside Lightning Pose.

Importing the package activates the plugin, before or after the host is imported. `beast_lp.pth`
does so at the start of every interpreter, so nothing heavy may happen here.
"""

from beast_lp.host.hook import install

install()
