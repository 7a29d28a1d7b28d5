// How does a test wait: for an event, with a deadline and a sentence for when it does not come?

/** Asks again and again, quickly, until the answer is not undefined. For things that send no event. */
export const until = async <T>(what: string, ask: () => Promise<T | undefined> | T | undefined, deadlineMs = 20_000): Promise<T> => {
  const end = performance.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      lastError = undefined;
    } catch (e) {
      lastError = e;
    }
    if (performance.now() > end)
      throw new Error(`${what}: not within ${deadlineMs / 1000} s`, lastError === undefined ? undefined : { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** The promise, or an error naming it once the deadline has passed. */
export const within = <T>(what: string, work: Promise<T>, deadlineMs = 20_000): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs / 1000} s`)), deadlineMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};
