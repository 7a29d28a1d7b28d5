// How are get, list and watch answered?

import { notFound } from "../model/errors.ts";
import type { Exchange } from "../rest/api.ts";
import { type Call, JSON_TYPE, sendObject, viewOf } from "../rest/apply.ts";
import { listOptions } from "../rest/options.ts";
import { serveWatch } from "../watch/serve.ts";
import { planList } from "./list.ts";
import { listText } from "./present.ts";
import type { Selection } from "./select.ts";

/** What the query and the path pick. */
export const selectionOf = ({ path, resource }: Call, options: Pick<Selection, "labels" | "fields">): Selection => ({
  resource,
  namespace: path.namespace,
  labels: options.labels,
  fields: path.name === undefined ? options.fields : [...options.fields, { field: "metadata.name", equal: true, value: path.name }],
});

export const serveList = (call: Call): void => {
  const { x, resource, api } = call;
  const options = listOptions(x.url.searchParams);
  const { store } = api;
  const listed = planList(selectionOf(call, options), options, {
    now: store.committed.list,
    snapshot: store.snapshot,
    revision: store.revision,
  });
  x.send(200, listText(resource, listed.items, { view: viewOf(x, api), metadata: listed.metadata }), JSON_TYPE);
};

export const serveWatchRequest = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = listOptions(x.url.searchParams);
  const selection = selectionOf(call, options);
  const view = viewOf(x, api);
  let out: ReturnType<Exchange["stream"]> | undefined;
  const open = () => {
    out ??= x.stream(200, JSON_TYPE);
    return out;
  };
  // The head goes out with the first write, after the request has been found good.
  const sink = {
    write: (t: string) => void open().write(t),
    backlog: () => open().backlog(),
    end: () => open().end(),
    abort: () => open().abort(),
  };
  const signal = AbortSignal.any([x.signal, api.registry.lifetime(call.resource)]);
  await serveWatch({ selection, options, view }, sink, {
    deps: { store: api.store, world: api.world, bookmarkMs: api.bookmarkMs },
    signal,
  });
};

export const serveGet = (call: Call): void => {
  const { resource, path, api } = call;
  const name = path.name ?? "";
  const found = api.store.committed.get(resource.bucket, resource.namespaced ? `${path.namespace}/${name}` : name);
  if (found === undefined) throw notFound(resource, name);
  sendObject(call, { object: found, code: 200 });
};
