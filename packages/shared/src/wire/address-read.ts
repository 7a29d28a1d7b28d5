// How is an address (workload or service) read from bytes? (istio.workload.Address; no protobuf library is loaded for it)

import { err, mapOk, type Result } from "../runtime/result.ts";
import { ADDRESS_TABLE } from "./address-table.ts";
import { at, oneofCase } from "./read.ts";
import { readService, type WireService } from "./service.ts";
import { readTable } from "./table.ts";
import type { Address } from "./types.ts";
import { readWorkload, type WireWorkload } from "./workload.ts";

type WireAddress = { workload: WireWorkload | null; service: WireService | null };

/**
 * Whole or an error that names the field: nothing is dropped. Unknown fields and extensions are ignored, as ztunnel does:
 * an Address says where, not who may.
 */
export const decodeAddress = (bytes: Uint8Array): Result<Address> => {
  const m = readTable<WireAddress>(ADDRESS_TABLE, bytes);
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
