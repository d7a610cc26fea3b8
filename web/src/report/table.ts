// A table whose rows are sorted by the column that is chosen.
export function sortable(table: HTMLTableElement): void {
  const body = table.tBodies[0]!;
  const heads = [...table.tHead!.rows[0]!.cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows];
      rows.sort((a, b) => compare(keyOf(a, column), keyOf(b, column), down ? -1 : 1));
      body.append(...rows);
    });
  });
}

function keyOf(row: HTMLTableRowElement, column: number): string {
  const cell = row.cells[column]!;
  return cell.dataset["value"] ?? cell.textContent!.trim();
}

/** Numbers by value, other texts by letter; what is missing comes last in either direction. */
function compare(a: string, b: string, way: number): number {
  if (!a || !b) return Number(!a) - Number(!b);
  const [x, y] = [Number(a), Number(b)];
  const numbers = !Number.isNaN(x) && !Number.isNaN(y);
  return way * (numbers ? x - y : a.localeCompare(b, undefined, { numeric: true }));
}
