"""Make the notebooks and the pages of the course from their sources.

    python docs/course/build.py             all lessons in both languages, executed
    python docs/course/build.py 2-vae       one lesson
    python docs/course/build.py --text      the texts alone, where no code has changed

A source is a script in the percent format, `docs/course/N-name.py`, which also runs as it is. Its
cells:

    # %% [markdown] en     text in English; its Portuguese twin follows directly
    # %% [markdown] pt     the same text in Brazilian Portuguese
    # %%                   code, the same in both languages; the first cell says LANG = "en"
                           after its imports
    # %% live              code that shows progress, which depends on the machine and is not kept
    # %% solution          code of a solution, folded until the reader opens it

A lesson becomes `en/N-name.ipynb` and `pt/N-name.ipynb`, executed in an empty folder. A notebook
alone determines its page, `en/N-name.md`, with pictures and explorers in `en/N-name/`.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

HERE = Path(__file__).parent
LESSONS = sorted(path.stem for path in HERE.glob("[0-9]-*.py"))
LANGUAGES = ("en", "pt")
WORDS = {
    "en": {"solution": "Solution", "explorer": "Open the explorer", "figure": "Figure"},
    "pt": {"solution": "Solução", "explorer": "Abrir o explorador", "figure": "Figura"},
}
CODE = {"": "code", "live": "live", "solution": "solution"}  # titles of code cells
FOLDED = {"jupyter": {"source_hidden": True, "outputs_hidden": True}}
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
LIMIT = 120  # seconds, of one cell
SECONDS = 60  # of a core, for a lesson
WIDTH = 1000  # pixels of a picture, at most


class Cell(NamedTuple):
    """A cell of a source: its text by language, which is the same for code."""

    kind: str  # markdown, code, live or solution
    text: dict[str, str]


class CourseError(Exception):
    """A source is not in the format of the course, or a cell complains."""


# --- from a source to a notebook ------------------------------------------------------------------


def read(source: str) -> list[Cell]:
    """Return the cells of a source.

    Raises:
        CourseError: A text lacks its twin, or a code cell has a title that means nothing.
    """
    cells: list[Cell] = []
    parsed = iter(jupytext.reads(source, fmt="py:percent").cells)
    for cell in parsed:
        title, start = cell.metadata.get("title", ""), repr(cell.source[:60])
        if cell.cell_type == "markdown":
            twin = next(parsed, cell)
            if (title, twin.cell_type, twin.metadata.get("title")) != ("en", "markdown", "pt"):
                raise CourseError(f"the text {start} is not 'en' with its 'pt' twin behind it")
            cells.append(Cell("markdown", {"en": cell.source, "pt": twin.source}))
        elif title in CODE:
            cells.append(Cell(CODE[title], dict.fromkeys(LANGUAGES, cell.source)))
        else:
            raise CourseError(f"the code {start} has the title {title!r}; known: {[*CODE]}")
    first = next((cell for cell in cells if cell.kind != "markdown"), None)
    if first is None or 'LANG = "en"' not in first.text["en"]:
        raise CourseError('the first code cell does not say LANG = "en"')
    first.text["pt"] = first.text["pt"].replace('LANG = "en"', 'LANG = "pt"')
    return cells


def notebook(name: str, lang: str) -> NotebookNode:
    """Return the notebook of a lesson, not yet executed."""
    made = []
    for number, cell in enumerate(read((HERE / f"{name}.py").read_text("utf-8")), 1):
        text, identity = cell.text[lang], f"cell-{number:02d}"
        if cell.kind == "markdown":
            made.append(new_markdown_cell(_linked(text, name, lang, ".ipynb"), id=identity))
        else:
            tags = {} if cell.kind == "code" else {"tags": [cell.kind]}
            folded = FOLDED if cell.kind == "solution" else {}
            made.append(new_code_cell(text, id=identity, metadata=tags | folded))
    return new_notebook(cells=made, metadata=KERNEL)


def _linked(text: str, name: str, lang: str, kind: str) -> str:
    """Add the links of a lesson below its title; other texts stay."""
    title, _, rest = text.partition("\n")
    if not title.startswith("# "):
        return text
    other = {"en": ("pt", "Português"), "pt": ("en", "English")}[lang]
    links = f"[{other[1]}](../{other[0]}/{name}{kind}) · [Notebook]({name}.ipynb)"
    lessons = {"en": "All lessons", "pt": "Todas as lições"}[lang]
    return f"{title}\n\n{links} · [{lessons}](../README.md)\n{rest}"


def execute(made: NotebookNode) -> None:
    """Run a notebook in an empty folder, and keep what every run of it gives again.

    Raises:
        CourseError: A cell prints to stderr, as warnings do; or the lesson computes too long.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            made, timeout=LIMIT, record_timing=False, coalesce_streams=True,
            kernel_name="python3", extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute(env=os.environ | {"OMP_NUM_THREADS": "1"})
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if seconds > SECONDS:
        raise CourseError(f"it computes for {seconds:.0f} s of a core; README.md says a minute")
    made.metadata = nbformat.from_dict(KERNEL)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                _settled(output)
                for output in cell.outputs
                if not ("live" in cell.metadata.get("tags", ()) and output.output_type == "stream")
            ]


def _settled(output: NotebookNode) -> NotebookNode:
    if output.get("name") == "stderr":
        raise CourseError(f"a cell complains: {output.text}")
    if output.output_type != "stream":
        output.metadata = {}
        if "image/png" in output.data:
            output.data = {"image/png": _reduced(output.data["image/png"])}
    return output


def _reduced(encoded: str) -> str:
    """Return a PNG file, base64, at most WIDTH pixels wide, of 256 colours, without other data.

    The colours are chosen by k-means, which shifts no hue of the picture as a whole.
    """
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDTH, 2 * WIDTH), Image.Resampling.LANCZOS)
    method = Image.Quantize.MAXCOVERAGE
    picture = picture.quantize(256, method, kmeans=10, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


# --- from a notebook to a page --------------------------------------------------------------------


class Page:
    """The page of a notebook as Markdown, and the files that belong to it by name."""

    def __init__(self, made: NotebookNode, name: str, lang: str) -> None:
        self.name, self.lang, self.files = name, lang, dict[str, bytes]()
        self.heading = ""
        self.text = "\n\n".join(self._cell(cell).strip("\n") for cell in made.cells) + "\n"

    def _cell(self, cell: NotebookNode) -> str:
        if cell.cell_type == "markdown":
            for title in re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE):
                self.heading = title
            text = re.sub(r"\]\((\d-[\w-]+|\.\./\w\w/\d-[\w-]+)\.ipynb", r"](\1.md", cell.source)
            return text.replace(f"[Notebook]({self.name}.md)", f"[Notebook]({self.name}.ipynb)")
        parts = [f"```python\n{cell.source}\n```", *map(self._output, cell.outputs)]
        text = "\n\n".join(parts)
        if "solution" in cell.metadata.get("tags", ()):
            summary = f"<summary>{WORDS[self.lang]['solution']}</summary>"
            return f'<details markdown="1">\n{summary}\n\n{text}\n\n</details>'
        return text

    def _output(self, output: NotebookNode) -> str:
        if output.output_type == "stream":
            return _block(output.text)
        if "image/png" in output.data:
            path = self._file(base64.b64decode(output.data["image/png"]), "png")
            number = len(self.files)
            return f"![{WORDS[self.lang]['figure']} {number}: {self.heading}]({path})"
        if "text/html" in output.data:
            return self._html(output.data["text/html"])
        return _block(output.data["text/plain"])

    def _html(self, text: str) -> str:
        """Return HTML whose pictures and frames are files."""
        links: list[str] = []

        def framed(found: re.Match[str]) -> str:
            path = self._file(html.unescape(found[1]).encode(), "html")
            links.append(f"[{WORDS[self.lang]['explorer']}]({path})")
            return f'src="{path}" loading="lazy"'

        def pictured(found: re.Match[str]) -> str:
            return f'src="{self._file(base64.b64decode(found[1]), "png")}"'

        text = re.sub(r'srcdoc="([^"]*)"', framed, text)
        text = re.sub(r'src="data:image/png;base64,([^"]*)"', pictured, text)
        return "\n\n".join([re.sub(r"\s*\n\s*", " ", text), *links])

    def _file(self, content: bytes, kind: str) -> str:
        """Keep a file; return its path from the page."""
        file = f"{len(self.files) + 1:02d}.{kind}"
        self.files[file] = content
        return f"{self.name}/{file}"


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def reuse(made: NotebookNode, path: Path) -> None:
    """Take over the outputs of a stored notebook.

    Raises:
        CourseError: Its code is another.
    """
    ours, stored = (
        [cell for cell in book.cells if cell.cell_type == "code"]
        for book in (made, nbformat.read(path, as_version=4))
    )
    if [cell.source for cell in ours] != [cell.source for cell in stored]:
        raise CourseError(f"{path}: the code has changed; build it without --text")
    for cell, old in zip(ours, stored, strict=True):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count


def build(name: str, lang: str, text: bool = False) -> None:
    """Execute a lesson in a language, or only renew its texts, and write notebook and page."""
    made = notebook(name, lang)
    reuse(made, HERE / lang / f"{name}.ipynb") if text else execute(made)
    page, folder = Page(made, name, lang), HERE / lang / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file, content in page.files.items():
        (folder / file).write_bytes(content)
    (HERE / lang / f"{name}.md").write_text(page.text, "utf-8")
    (HERE / lang / f"{name}.ipynb").write_text(nbformat.writes(made) + "\n", "utf-8")


if __name__ == "__main__":
    names = [word for word in sys.argv[1:] if word != "--text"]
    for lesson in names or LESSONS:
        for language in LANGUAGES:
            print(f"{language}/{lesson} ...", flush=True)
            build(lesson, language, "--text" in sys.argv)
