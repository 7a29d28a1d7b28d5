// What do a request's query parameters and media types ask for?

import type { Result } from "@ambit/shared/runtime/result.ts";
import { badRequest } from "../model/errors.ts";
import { type FieldRequirement, parseFieldSelector } from "../select/fields.ts";
import { parseLabelSelector, type Requirements } from "../select/labels.ts";

export type ListOptions = {
  readonly labels: Requirements;
  readonly fields: readonly FieldRequirement[];
  /** undefined when absent: the newest state. 0 is any state. */
  readonly resourceVersion: number | undefined;
  readonly match: "Exact" | "NotOlderThan" | undefined;
  readonly limit: number;
  readonly continueToken: string | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly bookmarks: boolean;
  readonly initialEvents: boolean;
};

export type WriteOptions = {
  readonly dryRun: boolean;
  readonly manager: string;
  readonly force: boolean;
  readonly validation: "strict" | "warn" | "ignore";
};

const flag = (q: URLSearchParams, name: string): boolean => {
  const v = q.get(name);
  if (v === null || v === "" || v === "false" || v === "0") return false;
  if (v === "true" || v === "1") return true;
  throw badRequest(`query parameter ${name}=${JSON.stringify(v)} must be true or false`);
};

const whole = (q: URLSearchParams, name: string): number | undefined => {
  const v = q.get(name);
  if (v === null || v === "") return undefined;
  if (!/^\d{1,15}$/.test(v)) throw badRequest(`query parameter ${name}=${JSON.stringify(v)} must be a whole number`);
  return Number(v);
};

const parsed = <T>(r: Result<T>): T => {
  if (!r.ok) throw badRequest(r.error);
  return r.value;
};

/** A resourceVersion as clients send it back; they must treat it as opaque, so what we did not make is refused. */
export const parseResourceVersion = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`);
  return Number(text);
};

const matchOf = (q: URLSearchParams): ListOptions["match"] => {
  const v = q.get("resourceVersionMatch");
  if (v === null || v === "") return undefined;
  if (v === "Exact" || v === "NotOlderThan") return v;
  throw badRequest(`resourceVersionMatch ${JSON.stringify(v)} is not supported: supported values: "Exact", "NotOlderThan"`);
};

export const listOptions = (q: URLSearchParams): ListOptions => {
  const rv = q.get("resourceVersion");
  const options: ListOptions = {
    labels: parsed(parseLabelSelector(q.get("labelSelector") ?? "")),
    fields: parsed(parseFieldSelector(q.get("fieldSelector") ?? "")),
    resourceVersion: rv === null || rv === "" ? undefined : parseResourceVersion(rv),
    match: matchOf(q),
    limit: whole(q, "limit") ?? 0,
    continueToken: q.get("continue") || undefined,
    timeoutSeconds: whole(q, "timeoutSeconds"),
    bookmarks: flag(q, "allowWatchBookmarks"),
    initialEvents: flag(q, "sendInitialEvents"),
  };
  if (options.match !== undefined && options.resourceVersion === undefined && !options.initialEvents)
    throw badRequest("resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (options.match === "Exact" && options.resourceVersion === 0)
    throw badRequest('resourceVersionMatch is forbidden: "Exact" needs a resourceVersion other than "0"');
  return options;
};

/** The manager a write without `fieldManager` is booked under: the client program's name (apiserver's managerOrUserAgent). */
const managerFrom = (userAgent: string | undefined): string => ((userAgent ?? "").split("/")[0] || "unknown").slice(0, 128);

export const writeOptions = (q: URLSearchParams, userAgent: string | undefined): WriteOptions => {
  const dryRun = q.getAll("dryRun").filter((v) => v !== "");
  if (dryRun.some((v) => v !== "All"))
    throw badRequest(`dryRun ${JSON.stringify(dryRun[0])} is not supported: the only supported value is "All"`);
  const validation = q.get("fieldValidation") || "Warn";
  if (validation !== "Strict" && validation !== "Warn" && validation !== "Ignore")
    throw badRequest(`fieldValidation ${JSON.stringify(validation)} is not supported: supported values: "Ignore", "Strict", "Warn"`);
  const manager = q.get("fieldManager") || managerFrom(userAgent);
  if (manager.length > 128) throw badRequest("fieldManager must not be longer than 128 characters");
  return {
    dryRun: dryRun.length > 0,
    manager,
    force: flag(q, "force"),
    validation: validation === "Strict" ? "strict" : validation === "Warn" ? "warn" : "ignore",
  };
};

export type DeleteOptions = {
  readonly dryRun: boolean;
  readonly graceSeconds: number | undefined;
  readonly propagation: "Background" | "Foreground" | "Orphan" | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
};

export type Encoding =
  | { readonly as: "json" }
  | { readonly as: "table"; readonly version: string }
  | { readonly as: "metadata"; readonly list: boolean };

const parameters = (type: string): Map<string, string> =>
  new Map(
    type
      .split(";")
      .slice(1)
      .map((p) => {
        const eq = p.indexOf("=");
        return [p.slice(0, eq).trim(), p.slice(eq + 1).trim()] as const;
      }),
  );

/** How the Accept header wants objects: the first alternative we can make. Throws 406 when there is none. */
export const encodingOf = (accept: string | undefined): Encoding | undefined => {
  if (accept === undefined || accept.trim() === "") return { as: "json" };
  for (const type of accept.split(",")) {
    const media = (type.split(";")[0] ?? "").trim();
    if (media !== "application/json" && media !== "*/*" && media !== "application/*") continue;
    const p = parameters(type);
    const as = p.get("as");
    if (as === undefined) return { as: "json" };
    if (p.get("g") !== "meta.k8s.io") continue;
    if (as === "Table" && (p.get("v") === "v1" || p.get("v") === "v1beta1")) return { as: "table", version: p.get("v") ?? "v1" };
    if (as === "PartialObjectMetadata" && p.get("v") === "v1") return { as: "metadata", list: false };
    if (as === "PartialObjectMetadataList" && p.get("v") === "v1") return { as: "metadata", list: true };
  }
  return undefined;
};
