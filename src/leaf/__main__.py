"""`python -m leaf`, which torchrun can start: `torchrun --nproc-per-node 4 -m leaf run RECIPE`."""

from leaf.cli.main import main

main()
