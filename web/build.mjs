// Bundles each page's script into src/vaelab/report/static/NAME.js, which is committed, so that
// nobody who uses vaelab needs Node; and tests/export/engine.js, the programs' engine alone.
// `node build.mjs DIR` writes elsewhere: the test that the committed scripts are fresh compares.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/vaelab/report/static");

const options = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  charset: "utf8",
  format: "iife",
  target: "es2022",
  legalComments: "none",
  metafile: true,
};
const result = await build({
  ...options,
  entryPoints: { explorer: "src/explorer/main.ts", report: "src/report/main.ts" },
  outdir: out,
});
await build({
  ...options,
  entryPoints: { engine: "src/engine/page.ts" },
  outdir: process.argv[2] ?? join(here, "../tests/export"),
});

// The licences of the packages that ended up in a bundle.
const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
  const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
  if (name) packages.add(name);
}
const parts = [];
for (const name of [...packages].sort()) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const text = await Promise.any(
    ["LICENSE", "LICENSE.md", "license", "LICENSE.txt"].map((file) =>
      readFile(join(folder, file), "utf8"),
    ),
  );
  parts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
}
const head = "The scripts in this folder contain parts of the following packages.\n";
await writeFile(join(out, "LICENSES.txt"), [head, ...parts].join("\n\n"));
