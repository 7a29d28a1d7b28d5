// How does what the controller sends become what the waypoint decides by?

import { createMeshStore, type MeshStore } from "@ambit/shared/state/store.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import { ADDRESS_TYPE, WAYPOINT_SERVICE_TYPE } from "@ambit/shared/wire/types.ts";
import { decodeWaypointService, waypointServiceName } from "@ambit/shared/wire/waypoint.ts";
import type { XdsType, XdsUpdate } from "@ambit/shared/xds/client.ts";
import { readAddresses, readUpserts } from "@ambit/shared/xds/read.ts";
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

/** `now` in milliseconds, for services that leave. */
export const createWaypointState = (patterns: Patterns, now: () => number): WaypointState => {
  const store = createMeshStore();
  const owned = createOwnedStore(patterns, now);
  const listeners: (() => void)[] = [];
  const told = (): void => {
    for (const listener of listeners) listener();
  };
  const applyAddresses = (update: XdsUpdate) => {
    const { read, rejected } = readAddresses(update);
    store.commit(read);
    return { rejected };
  };
  const applyServices = (update: XdsUpdate) => {
    const { read, rejected } = readUpserts(update, decodeWaypointService, waypointServiceName);
    owned.commit(read, update.removed);
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
