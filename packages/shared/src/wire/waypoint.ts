// How is a waypoint's service written to bytes and read back? (ambit.waypoint.v1.Service)

import type { WaypointService } from "../route/types.ts";
import type { Result } from "../runtime/result.ts";

/** The resource's name: "ns/hostname". */
export const waypointServiceName = (s: WaypointService): string => `${s.namespace}/${s.hostname}`;
export const encodeWaypointService = (_service: WaypointService): Uint8Array => {
  throw new Error("not written yet");
};
export const decodeWaypointService = (_bytes: Uint8Array): Result<WaypointService> => {
  throw new Error("not written yet");
};
