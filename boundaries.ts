// Who may import whom? The table that test/boundaries.test.ts enforces (types, tests and shells alike).

/** Workspace packages a package may import. Each also imports itself, node: modules and its own dependencies. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  ztunnel: ["shared"],
  waypoint: ["shared"],
  controller: ["shared"],
  cni: ["shared"],
  cli: ["shared"],
  standalone: ["shared"],
};

/** `test` and `scripts` may import shared, and of other packages only these files. */
export const OPEN_TO_TESTS: readonly RegExp[] = [/^@ambit\/shared\//, /^@ambit\/[a-z]+\/(app|config)\.ts$/];

/** Folders of shared from the ground up: a folder imports its own level and those below it. */
export const SHARED_LEVELS: readonly (readonly string[])[] = [
  ["runtime", "errors", "addr"],
  ["identity", "copy", "live", "telemetry", "admin", "linux"],
  ["tls", "kube"],
  ["state", "authz", "route"],
  ["proto", "gen", "wire"],
  ["grpc"],
  ["xds", "ca", "hbone"],
  ["proxy"],
];

/** Folders of shared that only some packages may use: these reach into the kernel. */
export const PRIVILEGED: Readonly<Record<string, readonly string[]>> = {
  linux: ["ztunnel", "cni", "standalone", "test"],
};

/** Words that belong to the edges, and the files that may say them. Tests may say anything. */
export const EDGE_WORDS: readonly { readonly word: RegExp; readonly where: RegExp; readonly why: string }[] = [
  { word: /\bprocess\.env\b/, where: /(^|\/)main\.ts$/, why: "the environment is read once, in main.ts, and parsed by config.ts" },
  { word: /\bMath\.random\b/, where: /shared\/src\/runtime\/run\.ts$/, why: "randomness comes in through World" },
  { word: /\bDate\.now\b/, where: /shared\/src\/runtime\/run\.ts$/, why: "the clock comes in through World" },
  { word: /\bconsole\./, where: /^$/, why: "logs go through shared/telemetry" },
];
