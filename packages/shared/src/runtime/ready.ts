// Is the process ready, and what is it still waiting for?

/** Named gates: ready when all are open. A gate is opened by a call at the milestone, never by something ending. */
export type Readiness = {
  open(gate: string): void;
  /** Closes a gate again (a lost peer that readiness depends on). */
  close(gate: string): void;
  /** The gates still closed, in the order they were named. */
  pending(): readonly string[];
};

export const createReadiness = (gates: readonly string[]): Readiness => {
  const closed = new Set(gates);
  return {
    open: (gate) => void closed.delete(gate),
    close: (gate) => void closed.add(gate),
    pending: () => [...closed],
  };
};
