// Puts together what is published: the modules that the app serves to its own pages, and what stands here, with types.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const served = here("../../trace_streaming/static/trace_streaming/client/");
const MODULES = ["trace_stream.js", "trace_stream.d.ts", "exact_json.js", "spans.js", "trace_store.js"];

rmSync(here("dist"), { recursive: true, force: true });
mkdirSync(here("dist"));
for (const name of MODULES) cpSync(served + name, here(`dist/${name}`));
cpSync(here("src"), here("dist"), { recursive: true });
cpSync(here("../../LICENSE"), here("LICENSE"));
const options = ["--allowJs", "--declaration", "--emitDeclarationOnly", "--skipLibCheck", "--target", "es2022"];
const modules = ["--module", "es2022", "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable", "--strict"];
const types = ["--checkJs", "--types", "react", "--outDir", here("dist")];
const sources = ["dist/spans.js", "dist/trace_store.js", "dist/react.js", "dist/index.js"].map(here);
execFileSync(
  process.execPath,
  [here("node_modules/typescript/bin/tsc"), ...options, ...modules, ...types, ...sources],
  {
    stdio: "inherit",
  },
);
