// How are the messages of delta ADS written and read? (envoy.service.discovery.v3)

import { codecOf } from "../proto/schema.ts";
import { err, mapOk, ok, type Result } from "../runtime/result.ts";
import { each, readName } from "./read.ts";
import { readOptionalStruct, type WireStruct, writeStruct } from "./struct.ts";
import type { DeltaRequest, DeltaResource, DeltaResponse, Node } from "./types.ts";

/** The gRPC path of the delta stream. */
export const DELTA_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

type WireRequest = {
  node?: { id: string; metadata?: WireStruct | null } | null;
  typeUrl: string;
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
  responseNonce: string;
  errorDetail?: { code: number; message: string } | null;
};
type WireResource = { version: string; resource?: { typeUrl: string; value: Uint8Array } | null; name: string; aliases: string[] };
type WireResponse = { systemVersionInfo: string; resources: WireResource[]; typeUrl: string; nonce: string; removedResources: string[] };

const requests = codecOf<WireRequest>("envoy.service.discovery.v3.DeltaDiscoveryRequest");
const responses = codecOf<WireResponse>("envoy.service.discovery.v3.DeltaDiscoveryResponse");

export const encodeDeltaRequest = (r: DeltaRequest): Uint8Array =>
  requests.encode({
    node: r.node === undefined ? null : { id: r.node.id, metadata: writeStruct(r.node.metadata) },
    typeUrl: r.typeUrl,
    resourceNamesSubscribe: [...r.subscribe],
    resourceNamesUnsubscribe: [...r.unsubscribe],
    initialResourceVersions: Object.fromEntries(r.initialVersions),
    responseNonce: r.responseNonce,
    errorDetail: r.error ?? null,
  });

const readNode = (n: WireRequest["node"]): Result<Node | undefined> =>
  n ? mapOk(readOptionalStruct(n.metadata), (metadata) => ({ id: n.id, metadata })) : ok(undefined);

export const decodeDeltaRequest = (bytes: Uint8Array): Result<DeltaRequest> => {
  const m = requests.decode(bytes);
  if (!m.ok) return m;
  const r = m.value;
  const node = readNode(r.node);
  if (!node.ok) return err(`DeltaDiscoveryRequest.node: ${node.error}`);
  if (r.typeUrl === "") return err("DeltaDiscoveryRequest.type_url is empty");
  return ok({
    ...(node.value === undefined ? {} : { node: node.value }),
    typeUrl: r.typeUrl,
    subscribe: [...r.resourceNamesSubscribe],
    unsubscribe: [...r.resourceNamesUnsubscribe],
    initialVersions: new Map(Object.entries(r.initialResourceVersions)),
    responseNonce: r.responseNonce,
    ...(r.errorDetail ? { error: { code: r.errorDetail.code, message: r.errorDetail.message } } : {}),
  });
};

export const encodeDeltaResponse = (r: DeltaResponse): Uint8Array =>
  responses.encode({
    systemVersionInfo: r.systemVersion,
    typeUrl: r.typeUrl,
    nonce: r.nonce,
    removedResources: [...r.removed],
    resources: r.resources.map((x) => ({
      name: x.name,
      version: x.version,
      aliases: [...x.aliases],
      resource: { typeUrl: r.typeUrl, value: x.value },
    })),
  });

const readResource =
  (typeUrl: string) =>
  (x: WireResource): Result<DeltaResource> => {
    const name = readName("name", x.name);
    if (!name.ok) return name;
    if (!x.resource) return err(`resource ${JSON.stringify(x.name)} is empty`);
    if (x.resource.typeUrl !== typeUrl) return err(`resource ${JSON.stringify(x.name)} is a ${x.resource.typeUrl}, not a ${typeUrl}`);
    // Empty bytes are absent on the wire, and protobufjs then has a plain array.
    const value = x.resource.value instanceof Uint8Array ? x.resource.value : new Uint8Array();
    return ok({ name: name.value, version: x.version, aliases: [...x.aliases], value });
  };

/** An error in the envelope of any resource fails the response: the stream cannot be trusted then. */
export const decodeDeltaResponse = (bytes: Uint8Array): Result<DeltaResponse> => {
  const m = responses.decode(bytes);
  if (!m.ok) return m;
  const r = m.value;
  return mapOk(each("resources", r.resources, readResource(r.typeUrl)), (resources) => ({
    typeUrl: r.typeUrl,
    nonce: r.nonce,
    systemVersion: r.systemVersionInfo,
    resources,
    removed: [...r.removedResources],
  }));
};
