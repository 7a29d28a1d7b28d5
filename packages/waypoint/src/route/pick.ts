// Which of a rule's backends takes this request? (weights are shares of their sum)

import type { WeightedBackend } from "@ambit/shared/route/types.ts";

/** `random` is uniform in [0, 1). Undefined when the weights sum to nothing. */
export const pickBackend = (backends: readonly WeightedBackend[], random: number): WeightedBackend | undefined => {
  const sum = backends.reduce((n, b) => n + b.weight, 0);
  let at = random * sum;
  const chosen = backends.find((b) => {
    at -= b.weight;
    return b.weight > 0 && at < 0;
  });
  return chosen ?? backends.findLast((b) => b.weight > 0);
};
