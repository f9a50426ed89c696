"""Reports: one HTML page per run, its figures, and the tables that it shows.

`page` writes pages, `hover` lays the values of curves over them, `style` holds what all figures
share, and each stage has a module that lists the sections of its page (`pretraining`, `encoding`,
`segmentation`, `ensemble`, `several_runs`, `demo_page`) and modules of pure figure functions
beside it. A page begins with what came out (`…_verdict`) and the warnings of the run.

Adding a new figure: write a function that takes arrays or a table and returns a matplotlib
`Figure` (in `…_figures`, `pretraining_curves` or `pretraining_pictures`), write a function that
yields a `Section` with it, and append that function to the module's `_SECTIONS`. The key under
which the section holds the figure becomes the name of its PNG. A column of a table needs no
change: curves and tables show the columns that exist.
"""
