// On which data thread does a connection belong that was just accepted on one of them?

/** What one connection counts for: a tunnel carries many, so it weighs as much as several of them. */
export const WEIGHT = { tunnel: 8, captured: 1 } as const;
export type ConnectionKind = keyof typeof WEIGHT;

/** The load of a thread that takes nothing: it has not started, or is gone. */
export const TAKES_NOTHING = 0x3fff_ffff;

/**
 * Passing a connection on costs a few percent of what serving a short one does. The kernel's hash spreads many of them well, and few
 * badly: of eight long ones, six may land on one thread. A difference of one is left as it is.
 */
const SLACK: Readonly<Record<ConnectionKind, number>> = { tunnel: 0, captured: 1 };

/** The thread to serve it: `self`, unless another one has less to do by more than is worth passing it on. */
export const chooseThread = (loads: ArrayLike<number>, self: number, kind: ConnectionKind): number => {
  const own = loads[self] ?? 0;
  let least = self;
  let load = own;
  for (let i = 0; i < loads.length; i++) {
    const other = loads[i] ?? TAKES_NOTHING;
    if (other < load) {
      least = i;
      load = other;
    }
  }
  return own - load > SLACK[kind] && load < TAKES_NOTHING / 2 ? least : self;
};
