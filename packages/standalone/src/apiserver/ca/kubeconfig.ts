// What does a kubeconfig file say?

export type KubeconfigParts = {
  readonly server: string;
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly user: string;
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** JSON, which is YAML too: kubectl reads it as well as a reader that knows JSON only. */
export const kubeconfigText = (p: KubeconfigParts): string => {
  const name = "ambit";
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: p.server, "certificate-authority-data": base64(p.caPem) } }],
    users: [{ name: p.user, user: { "client-certificate-data": base64(p.certificatePem), "client-key-data": base64(p.keyPem) } }],
    contexts: [{ name, context: { cluster: name, user: p.user } }],
    "current-context": name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
};
