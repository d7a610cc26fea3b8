"""Models in other forms: the programs that a page in a browser runs."""

__all__: list[str] = []
