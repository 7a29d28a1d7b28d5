// Under which names do the ztunnels of a node find each other, and who is asked first?

const NAME = /^takeover-(\d{13})-[0-9a-f]{8}\.sock$/;

/** The socket of a ztunnel that started then; no two are the same. */
export const offerName = (startedAt: number, random: () => number): string => {
  const unique = Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, "0");
  return `takeover-${String(Math.floor(startedAt)).padStart(13, "0")}-${unique}.sock`;
};

/** The sockets among a directory's files, those of the newest ztunnels first: they serve now, the older ones drain. */
export const newestFirst = (files: readonly string[]): readonly string[] =>
  files
    .filter((f) => NAME.test(f))
    .sort()
    .reverse();
