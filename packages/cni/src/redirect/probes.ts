// Whose is each address in the node's probe set? (an address may be another pod's by the time the first one's is taken out)

import { hostRules, type ProbeSet, probeElements } from "./rules.ts";

export type ProbedPod = { readonly uid: string; readonly addresses: readonly string[] };

export type Probes = {
  /** Replaces the node's rules by those for these pods. */
  start(pods: readonly ProbedPod[]): Promise<void>;
  /** The pod's addresses, and only those, are probed as its own from now on. */
  add(pod: ProbedPod): Promise<void>;
  /** Takes out what is still the pod's; an address that another pod has taken over stays. */
  remove(uid: string): Promise<void>;
};

export type ProbesOptions = {
  readonly kubeletUid: number;
  /** Loads an nft text in the node's namespace as one transaction. */
  readonly apply: (rules: string) => Promise<void>;
};

const setOf = (addresses: readonly string[]): ProbeSet => ({
  v4: addresses.filter((a) => !a.includes(":")),
  v6: addresses.filter((a) => a.includes(":")),
});

/** Changes are made one after the other: two nft programs at once would end in either order. */
export const createProbes = ({ kubeletUid, apply }: ProbesOptions): Probes => {
  const owners = new Map<string, string>();
  let tail: Promise<unknown> = Promise.resolve();
  const inTurn = (task: () => Promise<void>): Promise<void> => {
    const turn = tail.then(task, task);
    tail = turn.catch(() => undefined); // its caller has the error; the next turn starts regardless
    return turn;
  };
  const ownedBy = (uid: string): readonly string[] => [...owners].flatMap(([address, owner]) => (owner === uid ? [address] : []));
  const claim = ({ uid, addresses }: ProbedPod): void => {
    for (const address of addresses) owners.set(address, uid);
  };
  const drop = async (addresses: readonly string[]): Promise<void> => {
    if (addresses.length > 0) await apply(probeElements("destroy", setOf(addresses)));
    for (const address of addresses) owners.delete(address);
  };

  return {
    start: (pods) =>
      inTurn(async () => {
        await apply(hostRules(setOf([...new Set(pods.flatMap((p) => p.addresses))]), kubeletUid));
        owners.clear();
        for (const pod of pods) claim(pod);
      }),
    add: (pod) =>
      inTurn(async () => {
        await drop(ownedBy(pod.uid).filter((a) => !pod.addresses.includes(a)));
        if (pod.addresses.length > 0) await apply(probeElements("add", setOf(pod.addresses)));
        claim(pod);
      }),
    remove: (uid) => inTurn(() => drop(ownedBy(uid))),
  };
};
