// When the roots change, who must hear of it? (CA_ROOT_CA: the file that Kubernetes keeps as the controller publishes it)

import type { Roots } from "../grpc/channel.ts";
import type { World } from "../runtime/world.ts";
import { parseBundle } from "../tls/certificate.ts";
import { watchFile } from "../tls/watch.ts";
import type { CertStore } from "./types.ts";

export type FollowRootsOptions = {
  /** Those of the CA's channel: only a file can change. */
  readonly roots: Roots;
  readonly certs: Pick<CertStore, "renewAll">;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  readonly debounceMs?: number;
};

/**
 * Watches the file of roots until the signal aborts. Peers are checked against the roots that came with our own certificate, so a change
 * has every certificate renewed at once instead of at half of its life: a new root is then trusted within seconds of its arrival. The
 * channels read the file at every call and are made anew by themselves. A file that cannot be read changes nothing.
 */
export const followRoots = async (options: FollowRootsOptions, signal: AbortSignal): Promise<{ readonly done: Promise<void> }> => {
  const { roots, certs, world, log, debounceMs } = options;
  if (roots.kind !== "file") return { done: Promise.resolve() };
  const { path } = roots;
  let held: string | undefined;
  const onContent = (content: Buffer | undefined): void => {
    const bundle = content === undefined ? undefined : parseBundle(content.toString("latin1"));
    if (bundle === undefined) return;
    if (!bundle.ok) {
      log("roots refused", { path, error: bundle.error, result: "those of the certificates that are held stay in force" });
      return;
    }
    // In any order, and whatever stands between them.
    const now = bundle.value
      .map((c) => c.x509.fingerprint256)
      .sort()
      .join();
    if (held !== undefined && now !== held) {
      log("roots changed", { path, roots: bundle.value.length });
      certs.renewAll("the roots have changed");
    }
    held = now;
  };
  const onError = (error: string): void => log("roots cannot be read", { path, error });
  return watchFile({ path, world, onContent, onError, ...(debounceMs === undefined ? {} : { debounceMs }) }, signal);
};
