// What do collections look like as named, versioned xDS resources, and who gets which?

import type { Result } from "@ambit/shared/runtime/result.ts";
import { contentVersion } from "@ambit/shared/wire/version.ts";
import type { XdsResource, XdsSource } from "@ambit/shared/xds/server.ts";
import type { Collection } from "../collections/core.ts";

export type SourceOptions<V, C> = {
  readonly collection: Collection<V>;
  readonly encode: (value: V) => Result<Uint8Array>;
  /** Other names the same resource is asked by. */
  readonly aliases?: (value: V) => readonly string[];
  /** Names of other resources whose on-demand subscribers get this one too (a service's workloads). */
  readonly companionOf?: (value: V) => readonly string[];
  readonly visible: (client: C, value: V) => boolean;
  /** Calls the listener when `visible` may answer differently for values that have not changed. */
  readonly onVisibility?: (listener: () => void) => void;
  /** A value that cannot be encoded: its last good bytes stay. */
  readonly onBroken: (name: string, reason: string) => void;
};

type Held<V> = { readonly value: V; readonly resource: XdsResource; readonly alsoUnder: readonly string[] };

/** Encodes each record once, when it changes; a stream's answer is then a look-up. */
export const createSource = <V, C>(options: SourceOptions<V, C>): XdsSource<C> => {
  const { collection, aliases = () => [], companionOf = () => [] } = options;
  const held = new Map<string, Held<V>>();
  /** Alias or companion name → names of resources. */
  const under = new Map<string, Set<string>>();
  const listeners = new Set<(changed: ReadonlySet<string> | "all") => void>();

  const unindex = (name: string): void => {
    for (const key of held.get(name)?.alsoUnder ?? []) {
      under.get(key)?.delete(name);
      if (under.get(key)?.size === 0) under.delete(key);
    }
  };
  const put = (name: string, value: V): readonly string[] => {
    const bytes = options.encode(value);
    if (!bytes.ok) {
      options.onBroken(name, bytes.error);
      return [];
    }
    const also = aliases(value);
    const alsoUnder = [...also, ...companionOf(value)];
    const before = held.get(name)?.alsoUnder ?? [];
    unindex(name);
    held.set(name, { value, resource: { version: contentVersion(bytes.value), value: bytes.value, aliases: also }, alsoUnder });
    for (const key of alsoUnder) under.set(key, (under.get(key) ?? new Set()).add(name));
    return [name, ...before, ...alsoUnder];
  };
  const remove = (name: string): readonly string[] => {
    const before = held.get(name)?.alsoUnder ?? [];
    unindex(name);
    held.delete(name);
    return [name, ...before];
  };

  collection.subscribe((changes) => {
    const changed = new Set(changes.flatMap((c) => (c.value === undefined ? remove(c.key) : put(c.key, c.value))));
    if (changed.size > 0) for (const listener of [...listeners]) listener(changed);
  });

  options.onVisibility?.(() => {
    for (const listener of [...listeners]) listener("all");
  });

  return {
    snapshot: (client, names) => {
      const out = new Map<string, XdsResource>();
      const take = (name: string): void => {
        const h = held.get(name);
        if (h !== undefined && options.visible(client, h.value)) out.set(name, h.resource);
      };
      if (names === "wildcard") for (const name of held.keys()) take(name);
      else
        for (const name of names) {
          take(name);
          for (const other of under.get(name) ?? []) take(other);
        }
      return out;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};
