// How do messages and file descriptors pass between processes over AF_UNIX SOCK_SEQPACKET?

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { addressOf, errnoOf, LinuxError, syscall, trySyscall } from "./client.ts";
import { closeFd } from "./socket.ts";
import { AF_UNIX } from "./sockopt.ts";

const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const CMSG_HEADER = 16;
const MAX_FDS = 16;
const EAGAIN = errnoOf("EAGAIN");
const EMSGSIZE = errnoOf("EMSGSIZE");

export type Message = { readonly bytes: Buffer; readonly fds: readonly number[] };

const unixAddress = (path: string): Buffer => {
  const text = Buffer.from(path);
  if (text.length > 107) throw new LinuxError("bind", errnoOf("ENAMETOOLONG"), `a unix socket's path has at most 107 bytes: ${path}`);
  const address = Buffer.alloc(2 + text.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(text, 2);
  return address;
};

const seqpacket = (): number => syscall("socket", AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

const orClose = (fd: number, action: () => void): number => {
  try {
    action();
  } catch (e) {
    closeFd(fd);
    throw e;
  }
  return fd;
};

const named = (call: "bind" | "connect", fd: number, path: string): void => {
  const address = unixAddress(path);
  const result = trySyscall(call, fd, address, address.length);
  if (result < 0) throw new LinuxError(call, -result, path);
};

/**
 * A listening socket at the path; a stale socket file there is removed first (anything else there is left and EADDRINUSE thrown).
 * With `mode` the file has these permissions before anybody can connect.
 */
export const listenSeqpacket = (path: string, { backlog = 16, mode }: { backlog?: number; mode?: number } = {}): number => {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
  const fd = seqpacket();
  return orClose(fd, () => {
    named("bind", fd, path);
    if (mode !== undefined) chmodSync(path, mode);
    syscall("listen", fd, backlog);
  });
};

/** A connected socket. Throws LinuxError: ENOENT and ECONNREFUSED when nobody listens. */
export const connectSeqpacket = (path: string): number => {
  const fd = seqpacket();
  return orClose(fd, () => named("connect", fd, path));
};

/** The next waiting connection, or undefined when there is none now. */
export const accept = (listener: number): number | undefined => {
  const result = trySyscall("accept4", listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (result === -EAGAIN || result === -errnoOf("ECONNABORTED")) return undefined;
  if (result < 0) throw new LinuxError("accept4", -result);
  return result;
};

// struct msghdr, its struct iovec, the control area and the payload in one buffer of the 64-bit ABI's layout: the pointers point
// into the buffer that is itself the call's argument, so nothing can be collected while the kernel reads or writes it.
const IOVEC_AT = 56;
const CONTROL_AT = IOVEC_AT + 16;

const messageFrame = (controlLength: number, payloadLength: number): { frame: Buffer; control: Buffer; payload: Buffer } => {
  const payloadAt = CONTROL_AT + ((controlLength + 7) & ~7);
  const frame = Buffer.alloc(payloadAt + payloadLength);
  const base = addressOf(frame);
  frame.writeBigUInt64LE(base + BigInt(IOVEC_AT), 16);
  frame.writeBigUInt64LE(1n, 24);
  if (controlLength > 0) frame.writeBigUInt64LE(base + BigInt(CONTROL_AT), 32);
  frame.writeBigUInt64LE(BigInt(controlLength), 40);
  frame.writeBigUInt64LE(base + BigInt(payloadAt), IOVEC_AT);
  frame.writeBigUInt64LE(BigInt(payloadLength), IOVEC_AT + 8);
  return { frame, control: frame.subarray(CONTROL_AT, CONTROL_AT + controlLength), payload: frame.subarray(payloadAt) };
};

const writeRights = (control: Buffer, fds: readonly number[]): void => {
  control.writeBigUInt64LE(BigInt(CMSG_HEADER + 4 * fds.length), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  fds.forEach((fd, i) => {
    control.writeInt32LE(fd, CMSG_HEADER + 4 * i);
  });
};

/**
 * Sends one message with fds (which stay the caller's). Answers false when the socket's buffer is full: wait until it is
 * writable and send again. Throws LinuxError (EPIPE, ECONNRESET: the peer is gone). An empty message cannot be told from
 * the end of the connection, so it is refused.
 */
export const sendMessage = (fd: number, bytes: Uint8Array, fds: readonly number[] = []): boolean => {
  if (bytes.length === 0) throw new LinuxError("sendmsg", EMSGSIZE, "an empty message");
  if (fds.length > MAX_FDS) throw new LinuxError("sendmsg", EMSGSIZE, `${fds.length} fds in one message`);
  const { frame, control, payload } = messageFrame(fds.length === 0 ? 0 : (CMSG_HEADER + 4 * fds.length + 7) & ~7, bytes.length);
  payload.set(bytes);
  if (fds.length > 0) writeRights(control, fds);
  const result = trySyscall("sendmsg", fd, frame, MSG_NOSIGNAL);
  if (result === -EAGAIN) return false;
  if (result < 0) throw new LinuxError("sendmsg", -result);
  if (result !== bytes.length) throw new LinuxError("sendmsg", EMSGSIZE, `${result} of ${bytes.length} bytes sent`);
  return true;
};

const receivedFds = (control: Buffer, length: number): readonly number[] => {
  const fds: number[] = [];
  for (let at = 0; at + CMSG_HEADER <= length; ) {
    const size = Number(control.readBigUInt64LE(at));
    if (size < CMSG_HEADER || at + size > length) break;
    if (control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS) {
      for (let p = at + CMSG_HEADER; p + 4 <= at + size; p += 4) fds.push(control.readInt32LE(p));
    }
    at += (size + 7) & ~7;
  }
  return fds;
};

/**
 * The next message: undefined when none waits now, "end" when the peer has closed. Received fds are close-on-exec and the
 * caller's. Throws LinuxError EMSGSIZE when the message was longer than `max` or carried more fds than fit; its fds are closed.
 */
export const receiveMessage = (fd: number, max = 1024): Message | "end" | undefined => {
  const { frame, control, payload } = messageFrame(CMSG_HEADER + 4 * MAX_FDS, max);
  const result = trySyscall("recvmsg", fd, frame, MSG_CMSG_CLOEXEC);
  if (result === -EAGAIN) return undefined;
  if (result < 0) throw new LinuxError("recvmsg", -result);
  const fds = receivedFds(control, Number(frame.readBigUInt64LE(40)));
  const flags = frame.readInt32LE(48);
  if ((flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
    for (const received of fds) closeFd(received);
    const what = (flags & MSG_TRUNC) !== 0 ? `the message is longer than ${max} bytes` : "the message carries too many fds";
    throw new LinuxError("recvmsg", EMSGSIZE, what);
  }
  if (result === 0) {
    for (const received of fds) closeFd(received);
    return "end";
  }
  return { bytes: payload.subarray(0, result), fds };
};
