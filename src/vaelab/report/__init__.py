"""Pages: HTML files about runs that need no network.

`run` writes the report of a run, of several side by side, and of a folder of runs; `explorer` a
page in which the model itself runs; `comparison` the files of `vaelab compare`. `page` is what they
have in common. Templates are in templates/, scripts in static/, texts in `vaelab.language`.
"""

__all__: list[str] = []
