// Do the imports keep to boundaries.ts?
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { EDGE_WORDS, OPEN_TO_TESTS, PACKAGES, PRIVILEGED, SHARED_LEVELS } from "../boundaries.ts";

const root = join(import.meta.dirname, "..");
const files = globSync("{packages/*/src,test,scripts}/**/*.ts", { cwd: root }).filter((f) => !f.includes("node_modules"));

const isTest = (file: string): boolean => /\.test\.ts$|\/test\/|fixtures\.ts$|rig\.ts$/.test(file);
const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s*"([^"]+)"|import\("([^"]+)"\)/g)].flatMap((m) => m[1] ?? m[2] ?? []);
const packageOf = (file: string): string => /^packages\/([^/]+)\//.exec(file)?.[1] ?? "test";

/** The workspace file an import names, as "package/src/path", or undefined for libraries. */
const target = (file: string, spec: string): string | undefined => {
  const own = /^@ambit\/([a-z]+)\/(.+)$/.exec(spec);
  if (own !== null) return `packages/${own[1]}/src/${own[2]}`;
  return spec.startsWith(".") ? normalize(join(dirname(file), spec)) : undefined;
};

const edges = files.flatMap((file) =>
  importsOf(readFileSync(join(root, file), "utf8")).map((spec) => ({ file, spec, to: target(file, spec) })),
);
const complaint = (e: { file: string; spec: string }): string => `${e.file} imports ${e.spec}`;

test("there is something to check", () => assert.ok(edges.length > 100));

test("packages import only what the table allows", () => {
  const bad = edges.filter(({ file, to }) => {
    const from = packageOf(file);
    const other = to === undefined ? from : packageOf(to);
    return from !== "test" && other !== from && !(PACKAGES[from] ?? []).includes(other);
  });
  assert.deepEqual(bad.map(complaint), []);
});

test("test and scripts reach packages by shared, app.ts and config.ts only", () => {
  const bad = edges.filter(
    ({ file, spec, to }) =>
      packageOf(file) === "test" && to !== undefined && packageOf(to) !== "test" && !OPEN_TO_TESTS.some((p) => p.test(spec)),
  );
  assert.deepEqual(bad.map(complaint), []);
});

test("shared imports downwards only", () => {
  const level = (path: string): number =>
    SHARED_LEVELS.findIndex((folders) => folders.includes(/^packages\/shared\/src\/([^/]+)\//.exec(path)?.[1] ?? ""));
  const bad = edges.filter(({ file, to }) => {
    if (packageOf(file) !== "shared" || to === undefined || isTest(file)) return false;
    return level(to) > level(file);
  });
  assert.deepEqual(bad.map(complaint), []);
  const homeless = files.filter((f) => packageOf(f) === "shared" && level(f) < 0);
  assert.deepEqual(homeless, [], "every folder of shared has a level in boundaries.ts");
});

test("privileged folders are used only by those who may", () => {
  const bad = edges.filter(({ file, to }) => {
    const folder = /^packages\/shared\/src\/([^/]+)\//.exec(to ?? "")?.[1] ?? "";
    const users = PRIVILEGED[folder];
    return users !== undefined && packageOf(file) !== "shared" && !users.includes(packageOf(file));
  });
  assert.deepEqual(bad.map(complaint), []);
});

test("no barrels, no default exports, no imports without their ending", () => {
  const bad = edges.filter(({ spec, to }) => to !== undefined && !/\.(ts|json|proto)$/.test(spec));
  assert.deepEqual(bad.map(complaint), []);
});

test("words of the edges stay at the edges", () => {
  const found = files
    .filter((f) => f.startsWith("packages/") && !isTest(f))
    .flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8").replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, "");
      return EDGE_WORDS.filter((w) => w.word.test(text) && !w.where.test(file)).map((w) => `${file} says ${w.word.source}: ${w.why}`);
    });
  assert.deepEqual(found, []);
});
