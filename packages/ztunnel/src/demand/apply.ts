// How is a mesh followed of which only what is asked for is sent? (XDS_ON_DEMAND)

import type { World } from "@ambit/shared/runtime/world.ts";
import { ADDRESS_TYPE } from "@ambit/shared/wire/types.ts";
import type { XdsClient, XdsType } from "@ambit/shared/xds/client.ts";
import { createDemand, type Demand } from "@ambit/shared/xds/demand.ts";

export type OnDemand = {
  /** The same types, with workloads and services by name only. Policies are few, and one that is not there would not deny: always all of them. */
  readonly types: readonly XdsType[];
  readonly demand: Pick<Demand, "want">;
  /** Names are asked for through it from now on. */
  through(client: Pick<XdsClient, "subscribe" | "unsubscribe">): void;
};

export const onDemand = (types: readonly XdsType[], world: World): OnDemand => {
  let client: Pick<XdsClient, "subscribe" | "unsubscribe"> | undefined;
  const demand = createDemand({
    subscribe: (names) => client?.subscribe(ADDRESS_TYPE, names),
    unsubscribe: (names) => client?.unsubscribe(ADDRESS_TYPE, names),
    world,
  });
  const asAsked = (t: XdsType): XdsType => ({
    ...t,
    subscribe: "on-demand",
    apply: (update) => {
      const result = t.apply(update);
      // Applied first: whoever waits looks at once. What could not be read is answered too: nothing better will come.
      demand.applied(update);
      return result;
    },
  });
  return {
    types: types.map((t) => (t.typeUrl === ADDRESS_TYPE ? asAsked(t) : t)),
    demand,
    through: (c) => {
      client = c;
    },
  };
};
