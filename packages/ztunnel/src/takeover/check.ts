// May a socket that another process gave us be served as this pod's?

import { type NetnsIdentity, sameNetns } from "@ambit/shared/linux/netns.ts";
import type { SocketFacts } from "@ambit/shared/linux/socket-facts.ts";
import type { Listening } from "../inpod/listeners.ts";

const PLACES: Readonly<Record<string, Listening["at"]>> = { "0.0.0.0": "any", "::": "any", "127.0.0.1": "127.0.0.1", "::1": "::1" };

/** Where the socket takes what comes in. */
export const placeOf = (ip: string): Listening["at"] => PLACES[ip] ?? "elsewhere";

/** undefined: it may. Else why not: serving another pod's socket would serve its traffic as this pod's. */
export const objection = (facts: SocketFacts, netns: NetnsIdentity): string | undefined => {
  if (facts.takes === "nothing") return "it does not listen";
  if (facts.port === 0) return "it is not bound to a port";
  return sameNetns(facts.netns, netns) ? undefined : "it belongs to another network namespace";
};
