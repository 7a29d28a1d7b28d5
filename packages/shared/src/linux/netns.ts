// How does a thread make one system call inside another network namespace and come home for certain?

import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { abortProcess, LinuxError, syscall, trySyscall } from "./client.ts";

const CLONE_NEWNET = 0x4000_0000;
const EINVAL = 22;
const NS_GET_NSTYPE = 0xb703;

/** Two handles with equal identity are the same namespace, whatever path they were opened by. */
export type NetnsIdentity = { readonly dev: bigint; readonly ino: bigint };

/**
 * An open handle on a network namespace; it keeps the namespace alive until disposed. Asking for the fd after that throws:
 * the kernel gives the number to the next file that is opened, which may be another pod's namespace. So hold the handle, not the number.
 */
export type Netns = Disposable & { readonly fd: number; readonly identity: NetnsIdentity };

/** The namespace behind an fd (one received over ZDS, say). Throws LinuxError when the fd is anything but a network namespace. */
export const netnsIdentity = (fd: number): NetnsIdentity => {
  const type = trySyscall("ioctl", fd, NS_GET_NSTYPE, 0);
  if (type !== CLONE_NEWNET) throw new LinuxError("ioctl", type < 0 ? -type : EINVAL, `fd ${fd} is not a network namespace`);
  const stat = fstatSync(fd, { bigint: true });
  return { dev: stat.dev, ino: stat.ino };
};

export const sameNetns = (a: NetnsIdentity, b: NetnsIdentity): boolean => a.dev === b.dev && a.ino === b.ino;

/** Takes ownership of an open namespace fd. */
export const adoptNetns = (fd: number): Netns => {
  let open = true;
  return {
    get fd() {
      if (!open) throw new Error("the network namespace has been closed");
      return fd;
    },
    identity: netnsIdentity(fd),
    [Symbol.dispose]: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
};

/** Opens a namespace by path: `/run/netns/<name>` or `/proc/<pid>/ns/net`. Throws Node's ENOENT when there is none. */
export const openNetns = (path: string): Netns => {
  const fd = openSync(path, "r");
  try {
    return adoptNetns(fd);
  } catch (e) {
    closeSync(fd);
    throw e;
  }
};

/** The calling thread's own namespace. */
export const ownNetns = (): Netns => openNetns("/proc/thread-self/ns/net");

// Per thread, because each thread evaluates this module by itself and setns(2) moves only the calling thread.
const bracket: { home: number | undefined; inside: boolean } = { home: undefined, inside: false };

/** A call that yields a plain value (or only throws); a Promise makes it `never`. */
type SyncCall<T> = [T] extends [never] ? () => T : T extends PromiseLike<unknown> ? never : () => T;

/**
 * Enters the namespace, runs `call`, comes back, and returns what `call` returned (or throws what it threw).
 *
 * Only synchronous work that yields plain values and fds may happen inside: a Promise is a type error, because Node makes
 * sockets a tick later, in the home namespace, and a thread first started inside would keep the pod's namespace for life.
 * So no Node socket, no fs promise, no dns, no crypto job in `call`: socket(2) by `socket.ts`, wrapped outside.
 * If the way home fails, the process is aborted: running on in a pod's namespace would serve one pod's traffic as another's.
 */
export const inNetns = <T>(fd: number, call: SyncCall<T>): T => {
  if (bracket.inside) throw new Error("inNetns is not reentrant: the inner call would come home too early");
  bracket.home ??= openSync("/proc/thread-self/ns/net", "r");
  const home = bracket.home;
  syscall("setns", fd, CLONE_NEWNET);
  bracket.inside = true;
  let result: T;
  try {
    result = call();
  } finally {
    bracket.inside = false;
    const back = trySyscall("setns", home, CLONE_NEWNET);
    if (back < 0) {
      writeSync(2, `fatal: cannot return to the home network namespace: ${new LinuxError("setns", -back).message}\n`);
      abortProcess();
    }
  }
  if (result instanceof Promise) throw new TypeError("inNetns: the call returned a Promise; its work would run in the home namespace");
  return result;
};
