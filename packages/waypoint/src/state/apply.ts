// How does what the controller sends become what the waypoint decides by?

import type { WaypointService } from "@ambit/shared/route/types.ts";
import { createMeshStore, type MeshStore, type StateUpdate } from "@ambit/shared/state/store.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { decodeAddress } from "@ambit/shared/wire/address.ts";
import { ADDRESS_TYPE, addressName, WAYPOINT_SERVICE_TYPE } from "@ambit/shared/wire/types.ts";
import { decodeWaypointService, waypointServiceName } from "@ambit/shared/wire/waypoint.ts";
import type { XdsRejection, XdsType, XdsUpdate } from "@ambit/shared/xds/client.ts";
import type { Patterns } from "../route/regex.ts";
import { createOwnedStore, type OwnedStore } from "./owned.ts";

export type WaypointState = {
  readonly view: MeshView;
  readonly store: MeshStore;
  readonly owned: OwnedStore;
  onCommit(listener: () => void): void;
  /** Addresses first: a service that routes to a backend should find it. */
  readonly types: readonly XdsType[];
};

const misnamed = (name: string, own: string): string =>
  `the resource is named ${JSON.stringify(name)} but describes ${JSON.stringify(own)}`;

const readAddresses = (update: XdsUpdate): { updates: StateUpdate[]; rejected: XdsRejection[] } => {
  const updates: StateUpdate[] = update.removed.map((name) => ({ kind: "remove-address", name }));
  const rejected: XdsRejection[] = [];
  for (const { name, value } of update.upserts) {
    const address = decodeAddress(value);
    if (!address.ok) rejected.push({ name, reason: address.error });
    else if (addressName(address.value) !== name) rejected.push({ name, reason: misnamed(name, addressName(address.value)) });
    else updates.push(address.value);
  }
  return { updates, rejected };
};

/** A service that cannot be read whole is refused whole, and the one held before stays. */
const readServices = (update: XdsUpdate): { services: WaypointService[]; rejected: XdsRejection[] } => {
  const services: WaypointService[] = [];
  const rejected: XdsRejection[] = [];
  for (const { name, value } of update.upserts) {
    const service = decodeWaypointService(value);
    if (!service.ok) rejected.push({ name, reason: service.error });
    else if (waypointServiceName(service.value) !== name)
      rejected.push({ name, reason: misnamed(name, waypointServiceName(service.value)) });
    else services.push(service.value);
  }
  return { services, rejected };
};

export const createWaypointState = (patterns: Patterns): WaypointState => {
  const store = createMeshStore();
  const owned = createOwnedStore(patterns);
  const listeners: (() => void)[] = [];
  const told = (): void => {
    for (const listener of listeners) listener();
  };
  const applyAddresses = (update: XdsUpdate) => {
    const { updates, rejected } = readAddresses(update);
    store.commit(updates);
    return { rejected };
  };
  const applyServices = (update: XdsUpdate) => {
    const { services, rejected } = readServices(update);
    owned.commit(services, update.removed);
    told();
    return { rejected };
  };
  return {
    view: store.view,
    store,
    owned,
    onCommit: (listener) => void listeners.push(listener),
    types: [
      { typeUrl: ADDRESS_TYPE, subscribe: "wildcard", apply: applyAddresses },
      { typeUrl: WAYPOINT_SERVICE_TYPE, subscribe: "wildcard", apply: applyServices },
    ],
  };
};
