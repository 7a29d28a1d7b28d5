// What is done with a stream whose speed is measured?

import type { Duplex } from "node:stream";

/** Writes chunks of so many octets until the time has come (performance.now()), then ends the stream. */
export const send = (stream: Duplex, until: number, octets: number): void => {
  const chunk = Buffer.alloc(octets, 7);
  const more = (): void => {
    while (performance.now() < until) {
      if (!stream.write(chunk)) return void stream.once("drain", more);
    }
    stream.end();
  };
  more();
};

/** 1 KB there and back, one after the other, until the time has come; then the stream is destroyed. Microseconds that each took. */
export const roundTrips = async (stream: Duplex, until: number): Promise<number[]> => {
  const chunk = Buffer.alloc(1024, 7);
  const took: number[] = [];
  let left = 0;
  let began = 0;
  const done = Promise.withResolvers<void>();
  const ask = (): void => {
    left = chunk.length;
    began = performance.now();
    stream.write(chunk);
  };
  stream.on("data", (c: Buffer) => {
    left -= c.length;
    if (left > 0) return;
    took.push((performance.now() - began) * 1000);
    if (performance.now() < until) ask();
    else done.resolve();
  });
  ask();
  await done.promise;
  stream.destroy();
  return took;
};
