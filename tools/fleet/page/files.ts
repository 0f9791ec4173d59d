import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { asset } from "../../../runtime/base/assets.ts";

/** A file of the page, ready to be sent. */
export interface PageFile {
  readonly type: string;
  readonly data: Buffer;
  readonly zipped: Buffer;
  readonly etag: string;
}

/** What the page imports by name, and where that comes from: packages as they were published, no bundle. */
const modules: Readonly<Record<string, string>> = {
  preact: "preact",
  "preact/hooks": "preact/hooks",
  htm: "htm",
  "htm/preact": "htm/preact",
  uplot: "uplot/dist/uPlot.esm.js",
};
const styles: Readonly<Record<string, string>> = { "/vendor/uplot.css": "uplot/dist/uPlot.min.css" };

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

const pathOf = (name: string): string => `/vendor/${name.replace("/", "-")}.js`;
const importMap = JSON.stringify({
  imports: Object.fromEntries(Object.keys(modules).map((name) => [name, pathOf(name)])),
});

/** Nothing but the page's own files may run or be loaded; the one inline script is the import map. */
export const securityPolicy: string = [
  "default-src 'none'",
  `script-src 'self' 'sha256-${createHash("sha256").update(importMap).digest("base64")}'`,
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** All files by their path, read once: a request can name no other. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  const site = fileURLToPath(asset("tools/fleet/page/site/"));
  const names = readdirSync(site).filter((found) => types[ending(found)]);
  for (const name of names) files.set(`/site/${name}`, fileOf(name, readFileSync(`${site}/${name}`)));
  for (const [name, source] of Object.entries(modules)) files.set(pathOf(name), vendored(source, "js"));
  for (const [path, source] of Object.entries(styles)) files.set(path, vendored(source, "css"));
  files.set(
    "/",
    indexOf(
      `${site}/index.html`,
      [...files.keys()].filter((path) => path.endsWith(".js")),
    ),
  );
  return files;
}

/** All modules are asked for at once, not when one after the other is found to import it. */
function indexOf(path: string, scripts: readonly string[]): PageFile {
  const preloads = scripts.map((script) => `<link rel="modulepreload" href="${script}" />`).join("");
  const text = readFileSync(path, "utf8").replace("{{imports}}", importMap).replace("{{preloads}}", preloads);
  return fileOf("index.html", Buffer.from(text));
}

function vendored(source: string, type: string): PageFile {
  const text = readFileSync(new URL(import.meta.resolve(source)), "utf8");
  // The maps are not served, and asking for them would be an error in the browser's console.
  return fileOf(`x.${type}`, Buffer.from(text.replace(/^\/\/# sourceMappingURL=.*$/m, "")));
}

function fileOf(name: string, data: Buffer): PageFile {
  const etag = `"${createHash("sha256").update(data).digest("base64url").slice(0, 20)}"`;
  return { type: types[ending(name)] ?? "text/plain", data, zipped: gzipSync(data), etag };
}

function ending(name: string): string {
  return name.split(".").at(-1) ?? "";
}
