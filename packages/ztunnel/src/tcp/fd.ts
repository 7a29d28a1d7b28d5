// Which file descriptor is under a connected socket?

import type { Socket } from "node:net";

/** Node has no public name for it; undefined when the socket is closed. */
export const fdOf = (socket: Socket): number | undefined => {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
};
