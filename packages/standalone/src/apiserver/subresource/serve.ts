// How are the subresources that write answered: scale, binding, finalize, eviction, status?

import { methodNotAllowed, notFound } from "../model/errors.ts";
import { serveGet } from "../read/serve.ts";
import { type Call, commit, JSON_TYPE, sendObject, targetOf } from "../rest/apply.ts";
import { mediaType, parseBody, requireBody } from "../rest/body.ts";
import { writeOptions } from "../rest/options.ts";
import { planBinding } from "../write/binding.ts";
import { deleteOptions, planDelete } from "../write/delete.ts";
import { planFinalize } from "../write/finalize.ts";
import { patchTypeOf } from "../write/patch.ts";
import { planScale, scaleOf } from "../write/scale.ts";
import { servePatch, serveUpdate } from "../write/serve.ts";

export const serveScale = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const target = targetOf(call);
  if (call.verb === "get") {
    const found = api.store.committed.get(resource.bucket, `${target.namespace}/${target.name}`);
    if (found === undefined) throw notFound(resource, target.name);
    x.send(200, JSON.stringify(scaleOf(resource, found)), JSON_TYPE);
    return;
  }
  if (call.verb !== "update" && call.verb !== "patch") throw methodNotAllowed();
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const type = call.verb === "patch" ? patchTypeOf(mediaType(x.header("content-type")), false) : undefined;
  const body = requireBody(await x.body(), x.header("content-type"));
  const planned = await commit(api, planScale({ target, type, body, options }, api.writeEnv()), options.dryRun);
  x.send(200, JSON.stringify(scaleOf(resource, planned.object)), JSON_TYPE);
};

const success = (code: number): string => JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code });

export const serveBinding = async (call: Call): Promise<void> => {
  if (call.verb !== "create") throw methodNotAllowed();
  const body = requireBody(await call.x.body(), call.x.header("content-type"));
  const options = writeOptions(call.x.url.searchParams, call.x.header("user-agent"));
  await commit(call.api, planBinding(targetOf(call), body, call.api.writeEnv()), options.dryRun);
  call.x.send(201, success(201), JSON_TYPE);
};

export const serveFinalize = async (call: Call): Promise<void> => {
  if (call.verb !== "update") throw methodNotAllowed();
  const body = requireBody(await call.x.body(), call.x.header("content-type"));
  sendObject(call, await commit(call.api, planFinalize(targetOf(call), body, call.api.writeEnv()), false));
};

export const serveEviction = async (call: Call): Promise<void> => {
  if (call.verb !== "create") throw methodNotAllowed();
  const body = parseBody(await call.x.body(), call.x.header("content-type"));
  const options = deleteOptions(
    typeof body === "object" && body !== null && "deleteOptions" in body ? body.deleteOptions : undefined,
    new URLSearchParams(),
  );
  await commit(call.api, planDelete({ ...targetOf(call), subresource: undefined }, options, call.api.writeEnv()), options.dryRun);
  call.x.send(201, success(201), JSON_TYPE);
};

export const serveStatus = async (call: Call): Promise<void> => {
  switch (call.verb) {
    case "get":
      return serveGet(call);
    case "update":
      return serveUpdate(call);
    case "patch":
      return servePatch(call);
    default:
      throw methodNotAllowed();
  }
};
