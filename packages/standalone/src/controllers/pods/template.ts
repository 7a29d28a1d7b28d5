// Do two pod templates say the same, and what short name has a template?

import { createHash } from "node:crypto";
import type { PodTemplateSpec } from "@ambit/shared/kube/objects/pod.ts";

export const POD_TEMPLATE_HASH = "pod-template-hash";

// No vowels and no digits that read as vowels: no words by accident (k8s.io/apimachinery/pkg/util/rand).
const SAFE = "bcdfghjklmnpqrstvwxz2456789";

/** The template without what its controller added. */
const plain = (t: PodTemplateSpec): PodTemplateSpec => {
  const { [POD_TEMPLATE_HASH]: _, ...labels } = t.metadata?.labels ?? {};
  return { ...t, metadata: { ...t.metadata, labels } };
};

/** JSON with sorted keys; null, undefined and empty maps read as absent, as the API server stores them. */
const canonical = (v: unknown): string => {
  if (Array.isArray(v)) return `[${v.map(canonical).join(",")}]`;
  if (typeof v !== "object" || v === null) return JSON.stringify(v) ?? "null";
  const fields = Object.entries(v)
    .filter(([, x]) => x !== undefined && x !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, x]) => [k, canonical(x)] as const)
    .filter(
      ([k, x]) =>
        !(x === "{}" && (k === "labels" || k === "annotations" || k === "metadata" || k === "resources" || k === "securityContext")),
    );
  return `{${fields.map(([k, x]) => `${JSON.stringify(k)}:${x}`).join(",")}}`;
};

export const sameTemplate = (a: PodTemplateSpec, b: PodTemplateSpec): boolean => canonical(plain(a)) === canonical(plain(b));

/** Ten letters that depend on the template only (and on nothing a controller adds to it). */
export const templateHash = (t: PodTemplateSpec): string =>
  [
    ...createHash("sha256")
      .update(canonical(plain(t)))
      .digest()
      .subarray(0, 10),
  ]
    .map((b) => SAFE[b % SAFE.length])
    .join("");
