// Does a data thread load only what the data path needs? (its memory, and what it could be made to do)

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ENTRY = new URL("./main.ts", import.meta.url);
const SHARED = new URL("../../../shared/src/", import.meta.url);
const IMPORT = /^\s*(?:import|export)\s(?!type\s)(?:[^"';]*?\sfrom\s+)?"([^"]+)";/gm;

/** Statements that only import types are erased: they load nothing. */
const loads = (file: URL): string[] =>
  [...readFileSync(file, "utf8").matchAll(IMPORT)].flatMap(([statement, specifier]) => {
    const names = /\{([^}]*)\}/.exec(statement)?.[1];
    const onlyTypes = names?.split(",").every((n) => n.trim() === "" || n.trim().startsWith("type ")) === true;
    return specifier === undefined || onlyTypes ? [] : [specifier];
  });

const walk = (entry: URL): { files: Set<string>; packages: Map<string, string> } => {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const visit = (file: URL): void => {
    if (files.has(file.href)) return;
    files.add(file.href);
    for (const specifier of loads(file)) {
      if (specifier.startsWith(".")) visit(new URL(specifier, file));
      else if (specifier.startsWith("@ambit/shared/")) visit(new URL(specifier.slice("@ambit/shared/".length), SHARED));
      else packages.set(specifier, fileURLToPath(file));
    }
  };
  visit(entry);
  return { files, packages };
};

test("no gRPC, no protobuf, no ASN.1, no metrics renderer, no logger's transport, no Kubernetes in a data thread", () => {
  const { files, packages } = walk(ENTRY);
  assert.ok(files.size > 50 && [...files].every((f) => existsSync(new URL(f))), "the walk finds the data path");
  const foreign = [...packages].filter(([name]) => !name.startsWith("node:"));
  assert.deepEqual(new Map(foreign.filter(([name]) => !["koffi", "dns-packet"].includes(name))), new Map());
  for (const folder of ["/shared/src/grpc/", "/shared/src/kube/", "/shared/src/proto/", "/shared/src/xds/", "/ztunnel/src/app.ts"])
    assert.deepEqual(
      [...files].filter((f) => f.includes(folder)),
      [],
    );
});
