// Which system calls does Ambit make that Node has no API for? (the only dlopen)

import koffi from "koffi";

const libc = koffi.load(process.platform === "linux" ? "libc.so.6" : null);

/** A system call that failed, with the call's name and the errno's name ("EPERM"). */
export class LinuxError extends Error {
  override readonly name = "LinuxError";
  readonly syscall: string;
  readonly code: string;
  readonly errno: number;

  constructor(syscall: string, errno: number, detail?: string) {
    const code = ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
    super(`${syscall}: ${code}${detail === undefined ? "" : ` (${detail})`}`);
    this.syscall = syscall;
    this.code = code;
    this.errno = errno;
  }
}

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));

/** The number of an errno by name; every name used in this folder exists on Linux. */
export const errnoOf = (name: string): number => koffi.os.errno[name] ?? -1;

const calls = {
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const void *address, uint32_t length)"),
  listen: libc.func("int listen(int fd, int backlog)"),
  connect: libc.func("int connect(int fd, const void *address, uint32_t length)"),
  accept4: libc.func("int accept4(int fd, void *address, void *length, int flags)"),
  setsockopt: libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
  sendmsg: libc.func("int64_t sendmsg(int fd, const void *message, int flags)"),
  recvmsg: libc.func("int64_t recvmsg(int fd, void *message, int flags)"),
  getsockname: libc.func("int getsockname(int fd, void *address, void *length)"),
  fcntl: libc.func("int fcntl(int fd, int command, int64_t argument)"),
  ioctl: libc.func("int ioctl(int fd, uint64_t request, int64_t argument)"),
  ioctlPointer: libc.func("ioctl", "int", ["int", "uint64_t", "void *"]),
  setns: libc.func("int setns(int fd, int type)"),
  close: libc.func("int close(int fd)"),
  mkfifo: libc.func("int mkfifo(const char *path, uint32_t mode)"),
  malloc_trim: libc.func("int malloc_trim(uint64_t pad)"),
  syscall: libc.func("int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)"),
} as const;

const inetPton = libc.func("int inet_pton(int family, const char *text, void *bytes)");
const inetNtop = libc.func("const char *inet_ntop(int family, const void *bytes, void *text, uint32_t size)");
const abort = libc.func("void abort()");

type CallName = keyof typeof calls;

/** The call's return value, or -errno; for callers to whom some errnos are an outcome (EAGAIN). */
export const trySyscall = (name: CallName, ...args: readonly unknown[]): number => {
  const result = Number(calls[name](...args));
  return result < 0 ? -koffi.errno() : result;
};

/** The call's return value; throws LinuxError when it fails. */
export const syscall = (name: CallName, ...args: readonly unknown[]): number => {
  const result = trySyscall(name, ...args);
  if (result < 0) throw new LinuxError(name, -result);
  return result;
};

/** The address of a buffer's first byte; the caller keeps the buffer alive until the call is over. */
export const addressOf = (buffer: Uint8Array): bigint => koffi.address(buffer);

/** inet_pton(3): 4 or 16 bytes in network order, or undefined when the text is not an address of that family. */
export const addressBytes = (family: number, text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(16);
  return inetPton(family, text, bytes) === 1 ? bytes : undefined;
};

/** inet_ntop(3). */
export const addressText = (family: number, bytes: Uint8Array): string => String(inetNtop(family, bytes, Buffer.alloc(64), 64));

/** Ends the process at once with SIGABRT; works on worker threads, where process.abort does not. */
export const abortProcess = (): void => abort();

export type Watcher = {
  /** Whether `onWritable` is called too. */
  watchWritable(on: boolean): void;
  close(): void;
};

/**
 * Calls `onReadable` from the event loop whenever the fd can be read or its peer has hung up, and `onWritable` while asked to.
 * Level-triggered (uv_poll): no thread is parked. One watcher an fd (libuv refuses a second); the fd stays open until close().
 */
export const watchFd = (fd: number, onReadable: () => void, onWritable: () => void = () => {}): Watcher => {
  let open = true;
  const serve = (status: unknown, events: unknown): void => {
    const is = (name: string): boolean => typeof events === "object" && events !== null && Reflect.get(events, name) === true;
    if (open && is("writable")) onWritable();
    // On a failed poll the next read reports what is wrong.
    if (open && (status !== 0 || is("readable") || is("disconnect"))) onReadable();
  };
  // koffi 3.3 calls back with (status, events), unlike its types say, and outside Node's callback scope: promises resolved there
  // would wait for the next unrelated event. An immediate runs in the same loop turn, inside the scope.
  const ready = (...[status, events]: readonly unknown[]): void => {
    setImmediate(serve, status, events);
  };
  const handle = koffi.node.poll(fd, { readable: true, disconnect: true }, ready);
  return {
    watchWritable: (on) => handle.start({ readable: true, disconnect: true, writable: on }, ready),
    close: () => {
      open = false;
      handle.close();
    },
  };
};
