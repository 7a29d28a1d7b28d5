// Which resources does a CustomResourceDefinition make the server serve?

import { apiVersionOf, bool, isObject, type KubeObject, obj, objects, str, stringMap, strings } from "../model/object.ts";
import { ALL_VERBS, type ApiResource, type ScalePaths } from "../registry/types.ts";
import { crdSchema, hasStatusSubresource, printerColumns, scalePaths } from "../schema/crd.ts";

export const CRD_BUCKET = "apiextensions.k8s.io/customresourcedefinitions";
export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

export const bucketOfCrd = (crd: KubeObject): string => {
  const spec = obj(crd.spec);
  return `${str(spec.group) ?? ""}/${str(obj(spec.names).plural) ?? ""}`;
};

const isTrue = (crd: KubeObject, type: string): boolean =>
  objects(obj(crd.status).conditions).some((c) => c.type === type && c.status === "True");

/** ".spec.replicas" to ["spec", "replicas"]. */
const fieldPath = (jsonPath: string): string[] => jsonPath.split(".").filter((p) => p !== "");

const scaleOf = (crd: KubeObject, version: string): ScalePaths | undefined => {
  const p = scalePaths(crd, version);
  if (p === undefined) return undefined;
  return {
    spec: fieldPath(p.specReplicasPath),
    status: fieldPath(p.statusReplicasPath),
    ...(p.labelSelectorPath === undefined ? {} : { selector: fieldPath(p.labelSelectorPath) }),
  };
};

const withApiVersion = (o: KubeObject, apiVersion: string): KubeObject => (o.apiVersion === apiVersion ? o : { ...o, apiVersion });

/** One resource per served version; none until the definition is established. */
export const resourcesOf = (crd: KubeObject): ApiResource[] => {
  if (!isTrue(crd, "Established")) return [];
  const spec = obj(crd.spec);
  const names = obj(spec.names);
  const { plural = "", kind = "", singular = kind.toLowerCase(), listKind = `${kind}List` } = stringMap(names);
  const group = str(spec.group) ?? "";
  const versions = objects(spec.versions);
  const stored = str(versions.find((v) => bool(v.storage) === true)?.name) ?? "";
  return versions
    .filter((v) => bool(v.served) === true)
    .map((v): ApiResource => {
      const version = str(v.name) ?? "";
      const columns = printerColumns(crd, version);
      const scale = scaleOf(crd, version);
      return {
        group,
        version,
        resource: plural,
        singular,
        kind,
        listKind,
        namespaced: spec.scope === "Namespaced",
        shortNames: strings(names.shortNames),
        categories: strings(names.categories),
        verbs: ALL_VERBS,
        status: hasStatusSubresource(crd, version),
        ...(scale === undefined ? {} : { scale }),
        subresources: [],
        generation: true,
        nameRule: "subdomain",
        strategy: {},
        bucket: `${group}/${plural}`,
        // Conversion strategy None: versions differ in nothing but their name.
        convert: {
          toStored: (o) => withApiVersion(o, apiVersionOf(group, stored)),
          fromStored: (o) => withApiVersion(o, apiVersionOf(group, version)),
        },
        custom: {
          definition: crd.metadata.name ?? "",
          schema: crdSchema(crd, version),
          columns,
          deprecated: deprecationOf(v, { group, version, kind }),
        },
      };
    });
};

const deprecationOf = (v: { readonly [f: string]: unknown }, r: { group: string; version: string; kind: string }): string | undefined =>
  bool(v.deprecated) === true ? (str(v.deprecationWarning) ?? `${r.group}/${r.version} ${r.kind} is deprecated`) : undefined;

/** The definition is on its way out and its objects go with it. */
export const isEnding = (crd: KubeObject): boolean => isObject(crd.metadata) && crd.metadata.deletionTimestamp !== undefined;
