"""`python -m beast_lp ...` is `litpose ...`, also where .pth files are not read."""

from lightning_pose.cli.main import main

main()
