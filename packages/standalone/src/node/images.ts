// Which command of this machine stands for an image?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** Image repository (without registry and tag) → argv. `*` at the end of a key stands for the rest, which `{*}` in the argv repeats. */
export type ImageTable = Readonly<Record<string, readonly string[]>>;

/** The user that a component runs as: Node keeps a compile cache for each. */
export const COMPONENTS = { ztunnel: 0, cni: 0, waypoint: 1337, controller: 1337 } as const;
export type ComponentName = keyof typeof COMPONENTS;

/** Where the components' compile caches are, as an image would carry them; filled when a cluster starts. */
const compileCache = (repository: string, component: ComponentName): string =>
  `${repository}/node_modules/.cache/components-${COMPONENTS[component]}`;

export const componentMain = (repository: string, component: ComponentName): string => `${repository}/packages/${component}/src/main.ts`;

/** The cache is found by paths from its own directory: where the checkout is mounted makes no difference. */
export const compileCacheEnv = (repository: string, component: ComponentName): Readonly<Record<string, string>> => ({
  NODE_COMPILE_CACHE: compileCache(repository, component),
  NODE_COMPILE_CACHE_PORTABLE: "1",
});

/**
 * The collector's helper threads (four, unless told) take the cores from the threads that carry traffic: on two cores, data threads
 * stood still for 10 to 20 ms while the control thread rendered 10 000 label sets, and for 4 to 6 ms with one helper.
 */
const NODE_OPTIONS: Readonly<Record<ComponentName, readonly string[]>> = {
  ztunnel: [], // its DaemonSet says so
  waypoint: ["--v8-pool-size=1"],
  controller: [],
  cni: [],
};

const component = (node: string, repository: string, name: ComponentName): readonly string[] => [
  "/usr/bin/env",
  ...Object.entries(compileCacheEnv(repository, name)).map(([key, value]) => `${key}=${value}`),
  node,
  ...NODE_OPTIONS[name],
  componentMain(repository, name),
];

/** Ambit's own images, run from the checkout by the Node that runs us. */
export const ambitImages = (node: string, repository: string): ImageTable => ({
  "ambit/ztunnel": component(node, repository, "ztunnel"),
  "ambit/waypoint": component(node, repository, "waypoint"),
  "ambit/controller": component(node, repository, "controller"),
  "ambit/cni": component(node, repository, "cni"),
  "ambit/app-*": [node, `${repository}/test/apps/{*}.ts`],
  "ambit/node": [node],
});

/** "registry.example:5000/ambit/ztunnel:1.0@sha256:…" → "ambit/ztunnel"; a first part with a dot, a colon or "localhost" is a registry. */
export const imageRepository = (image: string): string => {
  const [first = "", ...rest] = image.split("@")[0]?.split("/") ?? [];
  const registry = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const parts = registry ? rest : [first, ...rest];
  return parts.join("/").replace(/:[^/:]*$/, "");
};

const lookUp = (table: ImageTable, repository: string): readonly string[] | undefined => {
  const exact = table[repository];
  if (exact !== undefined) return exact;
  const key = Object.keys(table).find((k) => k.endsWith("*") && repository.startsWith(k.slice(0, -1)) && repository.length >= k.length);
  return key === undefined ? undefined : table[key]?.map((word) => word.replaceAll("{*}", repository.slice(key.length - 1)));
};

/** The command line: `command` replaces the image's own, `args` are appended. An unknown image without a command is an error (ErrImagePull). */
export const commandLine = (
  container: { readonly image?: string; readonly command?: readonly string[]; readonly args?: readonly string[] },
  table: ImageTable,
): Result<readonly string[]> => {
  const args = container.args ?? [];
  if (container.command !== undefined && container.command.length > 0) return ok([...container.command, ...args]);
  const repository = imageRepository(container.image ?? "");
  const entrypoint = lookUp(table, repository);
  if (entrypoint !== undefined) return ok([...entrypoint, ...args]);
  return err(
    `no command of this machine stands for the image "${container.image ?? ""}": images are not pulled here; set the container's command, or map "${repository}" in the image table`,
  );
};

/** The table from a JSON file's text, put over the built-in one. */
export const parseImageTable = (text: string): Result<ImageTable> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    return err(`the image table is not JSON: ${e instanceof Error ? e.message : String(e)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return err("the image table must be an object of image → command");
  const table: Record<string, readonly string[]> = {};
  for (const [image, argv] of Object.entries(value)) {
    if (!Array.isArray(argv) || argv.length === 0 || !argv.every((w): w is string => typeof w === "string"))
      return err(`the image table's "${image}" must be a list of words`);
    table[image] = argv;
  }
  return ok(table);
};
