// What does a kubeconfig file say? (JSON is YAML: every client reads it)

export type KubeconfigParts = {
  readonly server: string;
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly user: string;
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");

export const kubeconfigText = (p: KubeconfigParts): string =>
  [
    "apiVersion: v1",
    "kind: Config",
    "clusters:",
    "  - name: ambit",
    "    cluster:",
    `      server: ${p.server}`,
    `      certificate-authority-data: ${base64(p.caPem)}`,
    "users:",
    `  - name: ${JSON.stringify(p.user)}`,
    "    user:",
    `      client-certificate-data: ${base64(p.certificatePem)}`,
    `      client-key-data: ${base64(p.keyPem)}`,
    "contexts:",
    "  - name: ambit",
    `    context: { cluster: ambit, user: ${JSON.stringify(p.user)} }`,
    "current-context: ambit",
    "",
  ].join("\n");
