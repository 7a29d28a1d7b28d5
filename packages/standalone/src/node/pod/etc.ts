// What do /etc/resolv.conf, /etc/hosts and /etc/hostname of a pod say?

import type { Pod } from "@ambit/shared/kube/objects/pod.ts";

export type DnsFacts = {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The machine's own resolv.conf, for dnsPolicy Default. */
  readonly hostResolvConf: string;
};

type Resolv = { readonly nameservers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] };

const unique = (list: readonly string[]): readonly string[] => [...new Set(list)];

/** The lines of a resolv.conf(5) that a pod inherits. */
const parseResolvConf = (text: string): Resolv => {
  const words = text.split("\n").map((line) => line.trim().split(/\s+/));
  const of = (key: string): readonly string[] => words.filter((w) => w[0] === key).flatMap((w) => w.slice(1));
  return { nameservers: of("nameserver"), searches: words.findLast((w) => w[0] === "search")?.slice(1) ?? [], options: of("options") };
};

const clusterFirst = (namespace: string, dns: DnsFacts): Resolv => ({
  nameservers: dns.clusterDns,
  searches: [`${namespace}.svc.${dns.clusterDomain}`, `svc.${dns.clusterDomain}`, dns.clusterDomain],
  options: ["ndots:5"],
});

const withConfig = (base: Resolv, config: NonNullable<Pod["spec"]["dnsConfig"]> | undefined): Resolv => {
  if (config === undefined) return base;
  const named = (config.options ?? []).flatMap((o) =>
    o.name === undefined ? [] : [{ name: o.name, text: o.value === undefined || o.value === "" ? o.name : `${o.name}:${o.value}` }],
  );
  const overridden = new Set(named.map((o) => o.name));
  return {
    nameservers: unique([...base.nameservers, ...(config.nameservers ?? [])]),
    searches: unique([...base.searches, ...(config.searches ?? [])]),
    options: [...base.options.filter((o) => !overridden.has(o.split(":")[0] ?? "")), ...named.map((o) => o.text)],
  };
};

/** By dnsPolicy: ClusterFirst (the default; for a hostNetwork pod it means Default, as in Kubernetes), ClusterFirstWithHostNet, Default, None. */
export const resolvConf = (pod: Pod, dns: DnsFacts): string => {
  const policy = pod.spec.dnsPolicy ?? "ClusterFirst";
  const cluster = policy === "ClusterFirstWithHostNet" || (policy === "ClusterFirst" && pod.spec.hostNetwork !== true);
  const base = cluster
    ? clusterFirst(pod.metadata.namespace ?? "default", dns)
    : policy === "None"
      ? { nameservers: [], searches: [], options: [] }
      : parseResolvConf(dns.hostResolvConf);
  const r = withConfig(base, pod.spec.dnsConfig);
  const lines = [
    ...r.nameservers.slice(0, 3).map((n) => `nameserver ${n}`),
    ...(r.searches.length === 0 ? [] : [`search ${r.searches.join(" ")}`]),
    ...(r.options.length === 0 ? [] : [`options ${r.options.join(" ")}`]),
  ];
  return `${lines.join("\n")}\n`;
};

/** A pod's host name: spec.hostname, else its name, cut to 63 characters; a hostNetwork pod has its node's. */
export const hostnameOf = (pod: Pod, node: string): string =>
  (pod.spec.hostNetwork === true ? node : (pod.spec.hostname ?? pod.metadata.name)).slice(0, 63).replace(/[-.]+$/, "");

/** As kubelet writes it: loopback, the pod's addresses under its names, then hostAliases. */
export const hostsFile = (
  pod: Pod,
  facts: { readonly node: string; readonly podIPs: readonly string[]; readonly clusterDomain: string },
): string => {
  const name = hostnameOf(pod, facts.node);
  const full =
    pod.spec.subdomain === undefined
      ? []
      : [`${name}.${pod.spec.subdomain}.${pod.metadata.namespace ?? "default"}.svc.${facts.clusterDomain}`];
  return `${[
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...facts.podIPs.map((ip) => [ip, ...full, name].join("\t")),
    ...(pod.spec.hostAliases ?? []).map((a) => [a.ip, ...(a.hostnames ?? [])].join("\t")),
  ].join("\n")}\n`;
};
