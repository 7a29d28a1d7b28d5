// May a data thread that ended be started again, or is it beyond help?

const WINDOW_MS = 60_000;
const MOST = 5;

/** `ended`: when data threads ended by themselves before, in milliseconds since the epoch. Pure. */
export const mayRestart = (ended: readonly number[], now: number): boolean => ended.filter((at) => now - at < WINDOW_MS).length < MOST;

export const TOO_OFTEN = `data threads ended ${MOST} times within ${WINDOW_MS / 1000} s`;
