// How is a refused client told so?

import type { Socket } from "node:net";

/** Resets the connection: the client sees a failure, never an empty answer that looks complete. */
export const refuse = (socket: Socket): void => {
  if (!socket.destroyed) socket.resetAndDestroy();
};
