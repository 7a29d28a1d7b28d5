// Does every namespace have its "default" service account and the cluster's CA certificate?

import type { ConfigMap, Namespace } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { type Action, NOTHING, type Plan } from "../engine/plan.ts";
import type { Controller, View } from "../engine/view.ts";

export const ROOT_CA = "kube-root-ca.crt";

/** `rootCa` is the PEM text that pods check the API server with. */
export const serviceAccountController = (rootCa: string): Controller => ({
  name: "serviceaccount",
  triggers: {
    namespaces: (ns) => [ns.metadata.name],
    serviceAccounts: (sa) => (sa.metadata.name === "default" ? [sa.metadata.namespace ?? ""] : []),
    configMaps: (cm) => (cm.metadata.name === ROOT_CA ? [cm.metadata.namespace ?? ""] : []),
  },
  reconcile: (view, name) => {
    const ns = view.namespaces.get(name);
    return ns === undefined ? NOTHING : reconcileNamespaceDefaults(ns, rootCa, view);
  },
});

export const reconcileNamespaceDefaults = (ns: Namespace, rootCa: string, view: Pick<View, "serviceAccounts" | "configMaps">): Plan => {
  if (ns.metadata.deletionTimestamp !== undefined || ns.status?.phase === "Terminating") return NOTHING;
  const namespace = ns.metadata.name;
  const actions: Action[] = [];
  if (view.serviceAccounts.get(`${namespace}/default`) === undefined)
    actions.push({
      do: "create",
      resource: RESOURCES.serviceAccounts,
      object: { metadata: { namespace, name: "default" } },
      why: "the namespace has none",
    });
  const map = view.configMaps.get(`${namespace}/${ROOT_CA}`);
  const wanted: ConfigMap = { metadata: { ...map?.metadata, namespace, name: ROOT_CA }, data: { "ca.crt": rootCa } };
  if (map === undefined) actions.push({ do: "create", resource: RESOURCES.configMaps, object: wanted, why: "the namespace has none" });
  else if (map.data?.["ca.crt"] !== rootCa)
    actions.push({ do: "update", resource: RESOURCES.configMaps, object: wanted, why: "its certificate is not the cluster's" });
  return { actions };
};
