// How is an address (workload or service) written to bytes? (istio.workload.Address)

import { codecOf } from "../proto/schema.ts";
import { type WireService, writeService } from "./service.ts";
import type { Address } from "./types.ts";
import { type WireWorkload, writeWorkload } from "./workload.ts";

type WireAddress = { workload?: WireWorkload | null; service?: WireService | null };
const codec = codecOf<WireAddress>("istio.workload.Address");

/** Equal addresses have equal bytes. */
export const encodeAddress = (a: Address): Uint8Array =>
  codec.encode(a.kind === "workload" ? { workload: writeWorkload(a.workload) } : { service: writeService(a.service) });
