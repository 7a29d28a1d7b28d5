// Where are the programs and files that tests and demo run?
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
export const NODE = process.execPath;
export const UP_MAIN = join(ROOT, "packages/standalone/src/up/main.ts");
export const CLI_MAIN = join(ROOT, "packages/cli/src/main.ts");
export const KUSTOMIZE = join(ROOT, "deploy/kustomize");
export const SHOP = join(ROOT, "test/demo/shop.yaml");
