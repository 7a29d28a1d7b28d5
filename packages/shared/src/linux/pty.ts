// How is a pseudo-terminal made, and its size told?

import { closeSync, constants, openSync } from "node:fs";
import { LinuxError, trySyscall } from "./client.ts";

const TIOCSPTLCK = 0x4004_5431;
const TIOCGPTN = 0x8004_5430;
const TIOCSWINSZ = 0x5414;

export type Pty = { readonly master: number; readonly path: string };

const ioctl = (fd: number, request: number, argument: Uint8Array): void => {
  const result = trySyscall("ioctlPointer", fd, request, argument);
  if (result < 0) throw new LinuxError("ioctl", -result);
};

/** A new terminal: the master's fd (the caller's to close or wrap) and the path by which a session leader makes it its own. */
export const openPty = (): Pty => {
  const master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
  try {
    ioctl(master, TIOCSPTLCK, Buffer.alloc(4));
    const number = Buffer.alloc(4);
    ioctl(master, TIOCGPTN, number);
    return { master, path: `/dev/pts/${number.readUInt32LE(0)}` };
  } catch (e) {
    closeSync(master);
    throw e;
  }
};

/** Sets the terminal's size; the foreground program gets SIGWINCH. */
export const resizePty = (master: number, size: { readonly rows: number; readonly columns: number }): void => {
  const winsize = Buffer.alloc(8);
  winsize.writeUInt16LE(Math.min(65_535, Math.max(1, size.rows)), 0);
  winsize.writeUInt16LE(Math.min(65_535, Math.max(1, size.columns)), 2);
  ioctl(master, TIOCSWINSZ, winsize);
};
