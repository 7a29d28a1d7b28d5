// Which mounts lie below a directory, innermost first?

/** From /proc/self/mountinfo text; octal escapes undone. The directory itself counts. */
export const mountsBelow = (mountinfo: string, dir: string): string[] =>
  mountinfo
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((path) => path === dir || path.startsWith(`${dir}/`))
    .reverse();
