// Bundles the dashboard: node build.mjs [OUTPUT-DIRECTORY]
// Writes index.html, app.js, app.css and favicon.svg; nothing else is needed at run time.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "..", "build", "dashboard"));

/* Their licence asks that the notice goes wherever the code goes. */
const notices = await Promise.all(["preact", "uplot"].map(async (name) =>
  `${name}\n\n${(await readFile(join(here, "node_modules", name, "LICENSE"), "utf8")).trim()}`));

await mkdir(out, { recursive: true });
await build({
  entryPoints: [join(here, "src", "app.tsx")],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  footer: { js: `/*\nThis bundle contains:\n\n${notices.join("\n\n")}\n*/` },
  logLevel: "warning",
});
for (const name of ["index.html", "favicon.svg"])
  await copyFile(join(here, "src", name), join(out, name));

let bytes = 0;
let packed = 0;
for (const name of ["index.html", "app.js", "app.css", "favicon.svg"]) {
  bytes += (await stat(join(out, name))).size;
  packed += gzipSync(await readFile(join(out, name))).length;
}
const kb = (n) => `${(n / 1000).toFixed(1)} kB`;
console.log(`dashboard: ${kb(bytes)} (${kb(packed)} gzipped) in ${relative(process.cwd(), out) || "."}`);
