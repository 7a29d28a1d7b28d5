// Writes deploy/crds from the kubernetes-models packages for the Gateway API and Istio: node scripts/generate-crds.ts

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { CRDS, type CrdRow } from "./models/crd-table.ts";
import { openPackage, type SchemaPackage } from "./models/packages.ts";
import { structuralSchema } from "./models/structural.ts";
import type { Node } from "./models/validator.ts";

/** Istio's status is written by whichever control plane is installed: its fields are described, others are kept. */
const openStatus = (schema: Node): Node => {
  const status = schema.properties?.status;
  if (status === undefined) return schema;
  return { ...schema, properties: { ...schema.properties, status: { ...status, "x-kubernetes-preserve-unknown-fields": true } } };
};

const versionsOf = (row: CrdRow, packages: readonly SchemaPackage[]): readonly object[] =>
  row.versions.map((version) => {
    const schema = structuralSchema(packages, version.schema, version.storage ? "first paragraphs" : "none");
    return {
      name: version.name,
      served: true,
      storage: version.storage === true,
      additionalPrinterColumns: row.columns.map((column) => ({ ...column, ...(column.name === "Description" ? { priority: 1 } : {}) })),
      schema: { openAPIV3Schema: row.openStatus ? openStatus(schema) : schema },
      ...(row.status ? { subresources: { status: {} } } : {}),
    };
  });

const crdOf = (row: CrdRow, packages: readonly SchemaPackage[]): object => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: `${row.plural}.${row.group}`,
    ...(Object.keys(row.annotations).length === 0 ? {} : { annotations: row.annotations }),
  },
  spec: {
    group: row.group,
    names: {
      kind: row.kind,
      listKind: `${row.kind}List`,
      plural: row.plural,
      singular: row.kind.toLowerCase(),
      ...(row.shortNames.length === 0 ? {} : { shortNames: row.shortNames }),
      categories: row.categories,
    },
    scope: row.scope,
    versions: versionsOf(row, packages),
  },
});

const HEADER = "# Written by scripts/generate-crds.ts from the kubernetes-models packages: edit that, not this.\n";

/** File name → text, with the kustomization that lists them. */
export const generateCrds = (): ReadonlyMap<string, string> => {
  const packages = ["@kubernetes-models/gateway-api", "@kubernetes-models/istio", "@kubernetes-models/apimachinery"].map(openPackage);
  const files = new Map<string, string>();
  for (const row of CRDS) {
    files.set(
      `${row.group}_${row.plural}.yaml`,
      HEADER + stringify(crdOf(row, packages), { lineWidth: 120, aliasDuplicateObjects: false }),
    );
  }
  const kustomization = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources: [...files.keys()].sort() };
  return files.set("kustomization.yaml", HEADER + stringify(kustomization));
};

export const CRD_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), "../deploy/crds");

if (import.meta.main) {
  mkdirSync(CRD_DIRECTORY, { recursive: true });
  for (const old of readdirSync(CRD_DIRECTORY)) rmSync(join(CRD_DIRECTORY, old));
  for (const [name, text] of generateCrds()) writeFileSync(join(CRD_DIRECTORY, name), text);
}
