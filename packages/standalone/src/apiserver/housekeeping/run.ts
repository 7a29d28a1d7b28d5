// What does the server clear away by itself? (Events, as kube-apiserver's --event-ttl does)

import { type KubeObject, str } from "../model/object.ts";
import type { Api } from "../rest/api.ts";
import { parseTime } from "../runtime/time.ts";
import { StorageError } from "../storage/log.ts";

const EVENTS = "/events";
const EVENT_LIFE_MS = 3_600_000;
const PERIOD_MS = 300_000;

const lastSeen = (event: KubeObject): number =>
  Math.max(...[event.lastTimestamp, event.eventTime, event.metadata.creationTimestamp].map((t) => parseTime(str(t) ?? "") || 0));

/** Removes events that nothing has renewed for an hour; the number removed. */
export const expireEvents = async (api: Pick<Api, "store" | "world">): Promise<number> => {
  const limit = api.world.now() - EVENT_LIFE_MS;
  const old = api.store.latest.list(EVENTS).filter((e) => lastSeen(e) < limit);
  await Promise.all(old.map((e) => api.store.stage(EVENTS, `${e.metadata.namespace}/${e.metadata.name}`, undefined).durable));
  return old.length;
};

/** Runs until the server stops. A store that cannot write has said so already; the next round tries again. */
export const runHousekeeping = async (api: Api): Promise<void> => {
  try {
    for (;;) {
      await expireEvents(api).catch((e: unknown) => {
        if (!(e instanceof StorageError)) throw e;
      });
      await api.world.sleep(PERIOD_MS, api.stopping);
    }
  } catch (e) {
    if (!api.stopping.aborted) throw e;
  }
};
