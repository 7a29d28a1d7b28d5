// What happens to a steady stream of requests while something changes?
import { http, type Place, type To } from "../world/net.ts";

export type LoadReport = { readonly answered: number; readonly failures: readonly string[] };

/** One new connection and request after another, in four lanes, from before the change until after it. Bounded by the change. */
export const underLoad = async (place: Place, to: To, change: () => Promise<void>): Promise<LoadReport> => {
  const failures: string[] = [];
  let answered = 0;
  let over = false;
  const lane = async (): Promise<void> => {
    while (!over) {
      try {
        const answer = await http(place, to);
        if (answer.status === 200) answered++;
        else failures.push(`status ${answer.status}: ${answer.body.slice(0, 200)}`);
      } catch (e) {
        failures.push(e instanceof Error ? e.message : String(e));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const lanes = Array.from({ length: 4 }, lane);
  try {
    await change();
  } finally {
    over = true;
    await Promise.all(lanes);
  }
  return { answered, failures };
};
