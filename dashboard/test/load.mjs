/** Lets a plain Node test import one TypeScript module of the dashboard. */
import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const source = join(dirname(fileURLToPath(import.meta.url)), "..", "src");

export async function load(name) {
  const result = await build({ entryPoints: [join(source, name)], bundle: true, write: false, format: "esm", target: "node18" });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].contents).toString("base64")}`);
}
