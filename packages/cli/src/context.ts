// What does every command share: cluster, output, clock?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { AdminClient } from "./client/admin.ts";
import type { MeshPods } from "./client/mesh.ts";

export type Cluster = { readonly client: KubeClient; readonly admin: AdminClient; readonly pods: MeshPods; readonly namespace: string };

export type Context = {
  /** Connects when first asked, so that commands that need no cluster work without one. */
  cluster(): Cluster;
  readonly world: World;
  print(text: string): void;
  /** To standard error: progress and hints, never data. */
  note(text: string): void;
};
