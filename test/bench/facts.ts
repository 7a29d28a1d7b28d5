// On what did a run take place?
import { readFileSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import { run } from "../world/program.ts";

/** Programs a run cannot do without, and Debian's packages that have them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  haproxy: "haproxy",
  iperf3: "iperf3",
  wrk: "wrk",
  nginx: "nginx-light",
  curl: "curl",
  nsenter: "util-linux",
};

/** One sentence when programs are missing. */
export const missingPrograms = async (): Promise<string | undefined> => {
  const found = await Promise.all(
    Object.entries(PROGRAMS).map(async ([program, pkg]) =>
      (await run(["sh", "-c", `command -v ${program}`])).code === 0 ? [] : [{ program, pkg }],
    ),
  );
  const missing = found.flat();
  if (missing.length === 0) return undefined;
  return `${missing.map((m) => m.program).join(", ")} needed: apt-get install -y --no-install-recommends ${missing.map((m) => m.pkg).join(" ")}`;
};

const first = async (argv: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await run(argv);
  return (stdout || stderr).split("\n")[0]?.trim() ?? "";
};

export const facts = async (): Promise<string[]> => {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown processor";
  const [haproxy, iperf, nginx] = await Promise.all([first(["haproxy", "-v"]), first(["iperf3", "--version"]), first(["nginx", "-v"])]);
  return [
    `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, node ${process.version}; all nodes, pods and load on this one machine`,
    `${haproxy.replace(/ - https.*$/, "")}, ${iperf}, ${nginx}; TLS 1.3 with AES-256-GCM and P-256 certificates on all sides, key exchange X25519MLKEM768 in ztunnel, X25519 in HAProxy`,
    await version(),
  ];
};

/** The commit measured, and whether files differ from it. */
const version = async (): Promise<string> => {
  const { code, stdout } = await run(["git", "describe", "--always", "--dirty", "--exclude=*"]);
  return code === 0 ? `commit ${stdout.trim()}` : "a tree without its history";
};

/** Load of the machine before the run: anything much above 0 is somebody else's work. */
export const loadBefore = (): string => readFileSync("/proc/loadavg", "utf8").split(" ")[0] ?? "?";
