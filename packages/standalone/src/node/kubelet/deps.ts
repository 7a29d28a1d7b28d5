// What does every part of the kubelet get from outside?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { HostDir } from "../container/launch.ts";
import type { ImageTable } from "../images.ts";
import type { Instance } from "../instance.ts";
import type { Lookups } from "../pod/env.ts";
import type { DnsFacts } from "../pod/etc.ts";
import type { NodeCapacity } from "../pod/fields.ts";

export type Log = {
  info(event: string, fields: object): void;
  warn(event: string, fields: object): void;
};

export type NodeFacts = {
  /** The Node object's name and its number on the fabric. */
  readonly name: string;
  readonly number: number;
  readonly netns: string;
  readonly ips: readonly string[];
  readonly capacity: NodeCapacity;
};

export type KubeletDeps = {
  readonly instance: Instance;
  readonly node: NodeFacts;
  readonly client: KubeClient;
  readonly world: World;
  readonly log: Log;
  readonly images: ImageTable;
  readonly dns: DnsFacts;
  /** Stay visible in every container: the code that images stand for. */
  readonly hostDirs: readonly HostDir[];
  /** ConfigMaps and Secrets of a namespace. */
  lookups(namespace: string): Lookups;
  /** Tells the API's readers what happened to a pod (an Event); never fails the caller. */
  event(
    pod: { readonly namespace: string; readonly name: string; readonly uid: string },
    e: { readonly type: "Normal" | "Warning"; readonly reason: string; readonly message: string },
  ): void;
};
