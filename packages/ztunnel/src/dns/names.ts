// Under which names may the host that a pod asked for be known to the mesh? (ambient-l4 section 5; ztunnel dns/server.rs get_aliases)

/** Names here are lower case, without the root's dot; labels are joined by dots. */
export type Alias = {
  readonly name: string;
  /** The asked name without a search domain, when one was taken off to get here. */
  readonly stripped: string | undefined;
  /** The name has the form of one pod of a headless service: pod.service.namespace.svc.<domain>. */
  readonly podHost: boolean;
};

/** Where names are read: the asking pod's namespace, the cluster's domain, and the domains the pod's resolver appends. */
export type NameScope = { readonly namespace: string; readonly clusterDomain: string; readonly search: readonly string[] };

const labelCount = (name: string): number => name.split(".").length;

const isPodHost = (name: string, clusterDomain: string): boolean =>
  name.endsWith(`.svc.${clusterDomain}`) && labelCount(name) === 4 + labelCount(clusterDomain);

type KubeName = Pick<Alias, "name" | "podHost">;

/** The full Kubernetes names that a short name can mean, by its number of labels. */
export const kubeNames = (name: string, { namespace, clusterDomain }: Pick<NameScope, "namespace" | "clusterDomain">): KubeName[] => {
  const svc = name.endsWith(".svc");
  const within = (domain: string, podHost: boolean): KubeName => ({ name: `${name}.${domain}`, podHost });
  switch (labelCount(name)) {
    case 1:
      return [within(`${namespace}.svc.${clusterDomain}`, false)];
    case 2:
      return [within(`svc.${clusterDomain}`, false), within(`${namespace}.svc.${clusterDomain}`, true)];
    case 3:
      return [...(svc ? [within(clusterDomain, false)] : []), within(`svc.${clusterDomain}`, true)];
    case 4:
      return svc ? [within(clusterDomain, true)] : [];
    default:
      return [];
  }
};

/** The name itself, then the wildcards over it, the narrowest first: "a.b.c", "*.b.c", "*.c". */
export const wildcards = (name: string): string[] => {
  const labels = name.split(".");
  return [name, ...labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join(".")}`)];
};

/**
 * The asked name, what it may be short for, and both again for what is left when a search domain is taken off, each name once.
 * After a domain outside the cluster only the bare rest is tried: "db.corp.example" may be somebody's host, and is never
 * taken for the pod's neighbour "db".
 */
export const aliases = (name: string, scope: NameScope): Alias[] => {
  const found = new Map<string, Alias>();
  const add = (alias: Alias): void => {
    if (!found.has(alias.name)) found.set(alias.name, alias);
  };
  const { clusterDomain } = scope;
  add({ name, stripped: undefined, podHost: isPodHost(name, clusterDomain) });
  for (const kube of kubeNames(name, scope)) add({ ...kube, stripped: undefined });
  for (const domain of scope.search) {
    if (!name.endsWith(`.${domain}`)) continue;
    const stripped = name.slice(0, -domain.length - 1);
    add({ name: stripped, stripped, podHost: isPodHost(stripped, clusterDomain) });
    if (domain !== clusterDomain && !domain.endsWith(`.${clusterDomain}`)) continue;
    for (const kube of kubeNames(stripped, scope)) add({ ...kube, stripped });
  }
  return [...found.values()];
};

/**
 * The services ("ns/hostname") that the name can mean, for a mesh that is fetched on demand: a Kubernetes name says its namespace;
 * other hosts are sought in the asker's own and in the preferred one. Wildcards cannot be sought so.
 */
export const serviceKeys = (name: string, scope: NameScope, preferredNamespace: string): string[] => {
  const suffix = `.svc.${scope.clusterDomain}`;
  const keys = aliases(name, scope).flatMap((alias) => {
    const service = alias.podHost ? alias.name.slice(alias.name.indexOf(".") + 1) : alias.name;
    const [host, namespace, ...more] = service.endsWith(suffix) ? service.slice(0, -suffix.length).split(".") : [];
    if (host !== undefined && namespace !== undefined && more.length === 0) return [`${namespace}/${service}`];
    if (alias.podHost) return [];
    return [scope.namespace, preferredNamespace].filter((ns) => ns !== "").map((ns) => `${ns}/${alias.name}`);
  });
  return [...new Set(keys)];
};
