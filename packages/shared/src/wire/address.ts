// How is an address (workload or service) written to bytes and read back? (istio.workload.Address)

import { codecOf } from "../proto/schema.ts";
import { err, mapOk, type Result } from "../runtime/result.ts";
import { at, oneofCase } from "./read.ts";
import { readService, type WireService, writeService } from "./service.ts";
import type { Address } from "./types.ts";
import { readWorkload, type WireWorkload, writeWorkload } from "./workload.ts";

type WireAddress = { workload?: WireWorkload | null; service?: WireService | null };
const codec = codecOf<WireAddress>("istio.workload.Address");

/** Equal addresses have equal bytes. */
export const encodeAddress = (a: Address): Uint8Array =>
  codec.encode(a.kind === "workload" ? { workload: writeWorkload(a.workload) } : { service: writeService(a.service) });

/**
 * Whole or an error that names the field: nothing is dropped. Unknown fields and extensions are ignored, as ztunnel does:
 * an Address says where, not who may.
 */
export const decodeAddress = (bytes: Uint8Array): Result<Address> => {
  const m = codec.decode(bytes);
  if (!m.ok) return m;
  const which = oneofCase("Address.type", m.value, ["workload", "service"]);
  if (!which.ok) return which;
  const { workload, service } = m.value;
  if (workload)
    return mapOk(at(`workload ${JSON.stringify(workload.uid)}`, readWorkload(workload)), (w) => ({ kind: "workload", workload: w }));
  if (service)
    return mapOk(at(`service ${JSON.stringify(`${service.namespace}/${service.hostname}`)}`, readService(service)), (s) => ({
      kind: "service",
      service: s,
    }));
  return err("Address.type is empty");
};
