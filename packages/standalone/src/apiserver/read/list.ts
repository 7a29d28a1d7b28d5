// Which objects does a list answer, as of when, and how does the next page go on?

import { ApiError, badRequest, expired } from "../model/errors.ts";
import type { KubeObject } from "../model/object.ts";
import type { ListOptions } from "../rest/options.ts";
import type { ListMeta } from "./present.ts";
import { checkSelection, type Selection, selects } from "./select.ts";

export type ListView = {
  /** The newest state of a bucket, in key order. */
  now(bucket: string, namespace: string | undefined): readonly KubeObject[];
  /** The bucket at that resourceVersion; undefined when it is too old. */
  snapshot(bucket: string, rv: number): readonly KubeObject[] | undefined;
  revision(): number;
};

export type Listed = { readonly items: readonly KubeObject[]; readonly metadata: ListMeta };

type Token = { readonly rv: number; readonly after: string };

const encodeToken = (t: Token): string => btoa(JSON.stringify({ v: "meta.k8s.io/v1", rv: t.rv, start: t.after }));

const decodeToken = (text: string): Token => {
  try {
    const t: unknown = JSON.parse(atob(text));
    if (typeof t === "object" && t !== null && "rv" in t && "start" in t && typeof t.rv === "number" && typeof t.start === "string")
      return { rv: t.rv, after: t.start };
  } catch (e) {
    throw new ApiError(400, "BadRequest", "continue key is not valid: it is not one of this server's", undefined, { cause: e });
  }
  throw badRequest("continue key is not valid: it is not one of this server's");
};

const orderKey = (o: KubeObject): string => `${o.metadata.namespace ?? ""}/${o.metadata.name ?? ""}`;

/** 504 with the cause clients know to retry on: asked for a state this server has not reached. */
export const tooLarge = (wanted: number, have: number): ApiError =>
  new ApiError(504, "Timeout", `Too large resource version: ${wanted}, current: ${have}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });

const isExact = (o: ListOptions): boolean => o.match === "Exact" || (o.match === undefined && o.limit > 0 && (o.resourceVersion ?? 0) > 0);

const source = (s: Selection, o: ListOptions, view: ListView): { rv: number; objects: readonly KubeObject[]; after: string } => {
  const bucket = s.resource.bucket;
  if (o.continueToken !== undefined) {
    if (o.resourceVersion !== undefined && o.resourceVersion !== 0)
      throw badRequest("specifying resource version is not allowed when using continue");
    const token = decodeToken(o.continueToken);
    const objects = view.snapshot(bucket, token.rv);
    if (objects === undefined)
      throw expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
      );
    return { rv: token.rv, objects, after: token.after };
  }
  const have = view.revision();
  const wanted = o.resourceVersion ?? 0;
  if (wanted > have) throw tooLarge(wanted, have);
  if (!isExact(o)) return { rv: have, objects: view.now(bucket, s.namespace), after: "" };
  const objects = view.snapshot(bucket, wanted);
  if (objects === undefined) throw expired("The resourceVersion for the provided list is too old.");
  return { rv: wanted, objects, after: "" };
};

export const planList = (s: Selection, o: ListOptions, view: ListView): Listed => {
  checkSelection(s);
  const from = source(s, o, view);
  const all = from.objects.filter((x) => (from.after === "" || orderKey(x) > from.after) && selects(s, x));
  const resourceVersion = String(from.rv);
  if (o.limit === 0 || all.length <= o.limit) return { items: all, metadata: { resourceVersion } };
  const items = all.slice(0, o.limit);
  const last = items.at(-1);
  const selective = s.labels.length > 0 || s.fields.length > 0;
  return {
    items,
    metadata: {
      resourceVersion,
      continue: encodeToken({ rv: from.rv, after: last === undefined ? "" : orderKey(last) }),
      ...(selective ? {} : { remainingItemCount: all.length - items.length }),
    },
  };
};
