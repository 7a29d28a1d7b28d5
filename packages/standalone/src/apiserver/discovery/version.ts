// Which Kubernetes version does this server behave as?

export const BUILD = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0+ambit",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "node",
  compiler: "node",
  platform: "linux/amd64",
} as const;
