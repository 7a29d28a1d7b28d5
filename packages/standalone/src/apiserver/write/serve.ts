// How are create, update, patch and delete answered?

import { badRequest } from "../model/errors.ts";
import { listText } from "../read/present.ts";
import { selects } from "../read/select.ts";
import { selectionOf } from "../read/serve.ts";
import { answer, type Call, checkNode, commit, JSON_TYPE, liveOf, sendObject, targetOf, viewOf } from "../rest/apply.ts";
import { mediaType, parseBody, requireBody } from "../rest/body.ts";
import { listOptions, writeOptions } from "../rest/options.ts";
import { appeared } from "../storage/watch.ts";
import { planCreate } from "./create.ts";
import { deleteOptions, planDelete } from "./delete.ts";
import { patchTypeOf, planPatch } from "./patch.ts";
import type { Planned, Target } from "./plan.ts";
import { planUpdate } from "./update.ts";

/** A namespace's first pod may come just before its "default" ServiceAccount, which a controller makes: kube-apiserver waits too. */
const ACCOUNT_WAIT_MS = 2000;

const defaultAccount = async ({ resource, path, x, api }: Call): Promise<void> => {
  if (resource.bucket !== "/pods" || api.store.latest.get("/namespaces", path.namespace ?? "") === undefined) return;
  const wanted = { bucket: "/serviceaccounts", key: `${path.namespace}/default`, ms: ACCOUNT_WAIT_MS };
  await appeared(api.store, wanted, { world: api.world, signal: x.signal });
};

export const serveCreate = async (call: Call): Promise<void> => {
  const { x, resource, path, api } = call;
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const body = requireBody(await x.body(), x.header("content-type"));
  await defaultAccount(call);
  if (resource.storedOnly === true) x.warn(`${resource.kind} is stored, but nothing in this cluster acts on it`);
  const planned = planCreate({ resource, namespace: path.namespace, body, options }, api.writeEnv());
  await answer(call, planned, options.dryRun);
};

export const serveUpdate = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const body = requireBody(await x.body(), x.header("content-type"));
  await answer(call, planUpdate({ target: targetOf(call), body, options }, api.writeEnv()), options.dryRun);
};

export const servePatch = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const type = patchTypeOf(mediaType(x.header("content-type")), resource.custom !== undefined);
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  if (type === "apply" && (x.url.searchParams.get("fieldManager") ?? "") === "")
    throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
  const patch = requireBody(await x.body(), x.header("content-type"));
  if (type === "apply") await defaultAccount(call);
  await answer(call, planPatch({ target: targetOf(call), type, patch, options }, api.writeEnv()), options.dryRun);
};

/** The Status that answers a deletion which ended at once. */
const deletedStatus = (planned: Planned, { resource }: Call): string =>
  JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name: planned.object.metadata.name,
      ...(resource.group === "" ? {} : { group: resource.group }),
      kind: resource.resource,
      uid: planned.object.metadata.uid,
    },
  });

export const serveDelete = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = deleteOptions(parseBody(await x.body(), x.header("content-type")), x.url.searchParams);
  checkNode(call, { verb: "delete", name: call.path.name ?? "", object: liveOf(call) });
  const done = await commit(api, planDelete(targetOf(call), options, api.writeEnv()), options.dryRun);
  if (done.removed === true) x.send(200, deletedStatus(done, call), JSON_TYPE);
  else sendObject(call, done);
};

export const serveDeleteCollection = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const options = deleteOptions(parseBody(await x.body(), x.header("content-type")), x.url.searchParams);
  const selection = selectionOf(call, listOptions(x.url.searchParams));
  const env = api.writeEnv();
  const doomed = env.view.list(resource.bucket, call.path.namespace).filter((o) => selects(selection, o));
  for (const o of doomed) checkNode(call, { verb: "delete", name: o.metadata.name ?? "", object: o });
  // All are staged in one turn and so become durable in one transaction.
  const done = await Promise.all(
    doomed.map((o) => {
      const target: Target = { resource, namespace: o.metadata.namespace, name: o.metadata.name ?? "" };
      return commit(api, planDelete(target, options, env), options.dryRun);
    }),
  );
  const metadata = { resourceVersion: String(api.store.revision()) };
  x.send(
    200,
    listText(
      resource,
      done.map((d) => d.object),
      { view: viewOf(x, api), metadata },
    ),
    JSON_TYPE,
  );
};
