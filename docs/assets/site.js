// Formulas: Markdown leaves them as text between \( \) or \[ \], and KaTeX sets them.
for (const element of document.querySelectorAll(".arithmatex")) {
  const source = element.textContent.trim();
  katex.render(source.slice(2, -2), element, { displayMode: source.startsWith("\\[") });
}
