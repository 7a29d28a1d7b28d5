// Pods for tests: network namespaces on one bridge, captured by the rules of ambient-l4 section 1.4.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import { type Netns, openNetns } from "@ambit/shared/linux/netns.ts";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";

const PREFIX = `t-z-${process.pid}`;
const run = (command: string, args: readonly string[], input = ""): void =>
  void execFileSync(command, args, { input, stdio: ["pipe", "ignore", "inherit"] });

/** `ns` is the namespace's name. */
export type TestPod = { readonly name: string; readonly ns: string; readonly v4: string; readonly v6: string; readonly netns: Netns };

const RULES = `
table inet istio-ambient-mangle {
  chain prerouting {
    type filter hook prerouting priority -150;
    meta mark & 0xfff == 0x539 ct mark set ct mark & 0xfffff000 | 0x111
  }
  chain output {
    type route hook output priority -150;
    ct mark & 0xfff == 0x111 meta mark set ct mark
  }
}
table inet istio-ambient-nat {
  chain prerouting {
    type nat hook prerouting priority -100;
    ip daddr != 127.0.0.1 tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
    ip6 daddr != ::1 tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
  }
  chain output {
    type nat hook output priority -100;
    oifname != "lo" udp dport 53 meta mark & 0xfff != 0x539 redirect to :15053
    ip daddr != 127.0.0.1 tcp dport 53 meta mark & 0xfff != 0x539 redirect to :15053
    ip6 daddr != ::1 tcp dport 53 meta mark & 0xfff != 0x539 redirect to :15053
    meta l4proto tcp meta mark & 0xfff == 0x111 accept
    oifname "lo" ip daddr != 127.0.0.1 accept
    oifname "lo" ip6 daddr != ::1 accept
    meta l4proto tcp ip daddr != 127.0.0.1 meta mark & 0xfff != 0x539 redirect to :15001
    meta l4proto tcp ip6 daddr != ::1 meta mark & 0xfff != 0x539 redirect to :15001
  }
}
table inet istio-ambient-raw {
  chain prerouting {
    type filter hook prerouting priority -300;
    meta mark & 0xfff != 0x539 udp sport 53 ct zone set 1
  }
  chain output {
    type filter hook output priority -300;
    meta mark & 0xfff == 0x539 udp dport 53 ct zone set 1
  }
}
`;

export type TestNet = Disposable & { pod(name: string): TestPod; capture(pod: TestPod): void };

/** One namespace per name, 10.91.0.<n> and fd00:91::<n>, all on a bridge in a namespace of its own. */
export const createTestNet = (names: readonly string[]): TestNet => {
  const fabric = `${PREFIX}-fabric`;
  const all = [fabric, ...names.map((n) => `${PREFIX}-${n}`)];
  const pods = new Map<string, TestPod>();
  const dispose = (): void => {
    for (const socket of dialled) socket.destroy();
    for (const pod of pods.values()) pod.netns[Symbol.dispose]();
    for (const name of all) execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
  };
  run("ip", ["-batch", "-"], all.map((n) => `netns add ${n}\n`).join(""));
  try {
    run(
      "ip",
      ["-n", fabric, "-batch", "-"],
      "link set lo up\nlink add name fabric type bridge\nlink set fabric up\naddress add 10.91.0.254/24 dev fabric\naddress add fd00:91::fe/64 dev fabric nodad\n",
    );
    for (const [i, name] of names.entries()) {
      const ns = `${PREFIX}-${name}`;
      const [v4, v6] = [`10.91.0.${i + 1}`, `fd00:91::${i + 1}`];
      run("ip", ["-n", fabric, "-batch", "-"], `link add p${i} type veth peer name eth0 netns ${ns}\nlink set p${i} master fabric up\n`);
      run(
        "ip",
        ["-n", ns, "-batch", "-"],
        [
          "link set lo up",
          "link set eth0 up",
          `address add ${v4}/24 dev eth0`,
          `address add ${v6}/64 dev eth0 nodad`,
          "route add default via 10.91.0.254",
          "route add default via fd00:91::fe dev eth0",
          "",
        ].join("\n"),
      );
      pods.set(name, { name, ns, v4, v6, netns: openNetns(`/run/netns/${ns}`) });
    }
  } catch (e) {
    dispose();
    throw e;
  }
  return {
    pod: (name) => {
      const pod = pods.get(name);
      if (pod === undefined) throw new Error(`no pod ${name}`);
      return pod;
    },
    capture: ({ name }) => {
      const ns = `${PREFIX}-${name}`;
      run("ip", ["netns", "exec", ns, "nft", "-f", "-"], RULES);
      for (const family of ["-4", "-6"]) {
        run("ip", ["-n", ns, family, "rule", "add", "fwmark", "0x111/0xfff", "pref", "32764", "lookup", "100"]);
        run("ip", ["-n", ns, family, "route", "add", "local", family === "-4" ? "0.0.0.0/0" : "::/0", "dev", "lo", "table", "100"]);
      }
    },
    [Symbol.dispose]: dispose,
  };
};

/** A server in the pod on both families; `onConnection` owns the socket. */
export const serveIn = async (pod: TestPod, port: number, onConnection: (socket: Socket) => void): Promise<Server> => {
  const fd = listenSocket({ netns: pod.netns.fd, family: "ipv6", v6only: false, reuseAddr: true, bind: { ip: "::", port } });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen({ fd });
  await once(server, "listening");
  return server;
};

const dialled = new Set<Socket>();

/** A connection from inside the pod; resolves when connected, which under capture says only that ztunnel took it. */
export const dialFrom = async (pod: TestPod, host: string, port: number, allowHalfOpen = true): Promise<Socket> => {
  const fd = socketIn({ netns: pod.netns.fd, family: host.includes(":") ? "ipv6" : "ipv4" });
  const options = { fd, allowHalfOpen, readable: true, writable: true, manualStart: true };
  const socket = new Socket(options);
  dialled.add(socket);
  socket.once("close", () => dialled.delete(socket));
  socket.connect({ host, port });
  await once(socket, "connect", { signal: AbortSignal.timeout(5_000) });
  return socket;
};

/** Everything up to the other side's end; rejects when it was cut. */
export const readToEnd = async (socket: Socket): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
};

/** Why the connection was cut, as an errno name; rejects when it ends properly. */
export const cutOf = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    const timer = AbortSignal.timeout(5_000);
    timer.addEventListener("abort", () => reject(new Error("the connection was not cut within 5 s")));
    socket.once("error", (e: NodeJS.ErrnoException) => resolve(e.code ?? e.message));
    socket.once("end", () => reject(new Error("the connection ended properly")));
    socket.resume();
  });

/** Why a new connection is refused: at once, or after ztunnel took it. */
export const refusal = async (pod: TestPod, host: string, port: number): Promise<string> => {
  let socket: Socket;
  try {
    socket = await dialFrom(pod, host, port);
  } catch (e) {
    return e instanceof Error && "code" in e ? String(e.code) : String(e);
  }
  return cutOf(socket);
};
