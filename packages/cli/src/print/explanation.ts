// How does an explanation read? (one block a hop, the verdict of every policy, the outcome last)

import type {
  ExplainCandidate,
  ExplainInbound,
  ExplainOutbound,
  ExplainPod,
  ExplainPolicy,
  ExplainVerdict,
  ExplainWaypoint,
  ExplainWorkload,
} from "@ambit/shared/admin/explain.ts";

export type Finding =
  | {
      readonly kind: "start";
      readonly pod: { namespace: string; name: string };
      readonly target: string;
      readonly address: string;
      readonly service: string | undefined;
    }
  | { readonly kind: "capture"; readonly answer: ExplainPod }
  | { readonly kind: "outbound"; readonly answer: ExplainOutbound }
  | { readonly kind: "waypoint"; readonly answer: ExplainWaypoint; readonly instance: ExplainWorkload }
  | { readonly kind: "arrival"; readonly answer: ExplainInbound; readonly node: string }
  | { readonly kind: "arrival-uncaptured"; readonly pod: string; readonly text: string }
  | { readonly kind: "note"; readonly text: string };

const indent = (lines: readonly string[]): string => lines.map((l) => `  ${l}\n`).join("");
const block = (title: string, lines: readonly string[]): string => `${title}\n${indent(lines)}`;
const workloadText = (w: ExplainWorkload): string =>
  `${w.namespace}/${w.name} (${w.addresses.join(", ")}${w.node === "" ? "" : ` on ${w.node}`})`;

const policyText = (p: ExplainPolicy): string => {
  const verdict = p.rule === undefined ? `no rule of ${p.rules} matches` : `rule ${p.rule} matches`;
  return `${p.dryRun ? "(dry run) " : ""}${p.action} ${p.policy}: ${verdict}`;
};

const verdictLines = (v: ExplainVerdict | undefined): string[] =>
  v === undefined
    ? []
    : [
        ...(v.policies.length === 0 && v.missing.length === 0 ? ["policies: none apply"] : []),
        ...v.policies.map((p) => `policy   ${policyText(p)}`),
        ...v.missing.map((m) => `policy   ${m}: in force but not received yet, or not readable`),
        `verdict  ${v.text}`,
      ];

const candidateText = (c: ExplainCandidate): string =>
  `${c.namespace}/${c.name} port ${c.port}, locality rank ${c.rank}${c.excluded === undefined ? "" : `, not eligible: ${c.excluded}`}`;

const candidateLines = (candidates: readonly ExplainCandidate[], chosen: ExplainWorkload | undefined): string[] =>
  candidates.map((c) => `${c.name === chosen?.name && c.namespace === chosen.namespace ? "→" : " "} ${candidateText(c)}`);

const outboundLines = (a: ExplainOutbound): string[] => [
  `identity ${a.source.identity}`,
  `address  ${a.to} is ${a.found === "unknown" ? "not known to the mesh" : `a ${a.found}${a.service === undefined ? "" : ` (${a.service})`}`}`,
  `decision ${a.text}`,
  ...(a.workload === undefined ? [] : [`${a.why.endsWith("waypoint") ? "waypoint" : "endpoint"} ${workloadText(a.workload)}`]),
  ...candidateLines(a.candidates, a.workload),
  ...(a.via === undefined ? [] : [`dials    ${a.via}${a.authority === undefined ? "" : `, CONNECT ${a.authority}`}`]),
  ...(a.expect.length === 0 ? [] : [`expects  ${a.expect.join(" or ")}`]),
];

const waypointLines = (a: ExplainWaypoint, instance: ExplainWorkload): string[] => [
  `instance ${workloadText(instance)}`,
  `service  ${a.service ?? "none: this waypoint does not own the address"}${a.protocol === undefined ? "" : `, protocol ${a.protocol}`}`,
  ...verdictLines(a.verdict),
  ...a.rules.map((r) => `${r.matched ? "→" : " "} route ${r.route} ${r.rule}: ${r.why}`),
  `route    ${a.chosen}`,
  ...a.filters.map((f) => `filter   ${f}`),
  ...a.backends.map((b) => `backend  ${b.target} weight ${b.weight} (${b.share})`),
  ...(a.endpoint === undefined ? [] : [`endpoint ${workloadText(a.endpoint)}`]),
  ...candidateLines(a.candidates, a.endpoint),
  ...(a.via === undefined ? [] : [`dials    ${a.via}`]),
  ...(a.expect.length === 0 ? [] : [`expects  ${a.expect.join(" or ")}`]),
  `outcome  ${a.status === undefined ? "" : `${a.status}: `}${a.text}`,
];

const one = (f: Finding): string => {
  switch (f.kind) {
    case "start":
      return `${f.pod.namespace}/${f.pod.name} → ${f.target}${f.target === f.address ? "" : ` (${f.address}${f.service === undefined ? "" : `, Service ${f.service}`})`}\n`;
    case "capture":
      return block(`Capture, node agent of ${f.answer.node}`, [
        f.answer.text,
        ...(f.answer.lastError === undefined ? [] : [`last error: ${f.answer.lastError}`]),
      ]);
    case "outbound":
      return block(`Outbound, ztunnel of ${f.answer.source.node}`, outboundLines(f.answer));
    case "waypoint":
      return block(
        `Waypoint ${f.instance.namespace}/${f.instance.name.replace(/-[a-z0-9]+-[a-z0-9]{5}$/, "")}`,
        waypointLines(f.answer, f.instance),
      );
    case "arrival":
      return block(`Arrival at ${f.answer.workload.namespace}/${f.answer.workload.name}, ztunnel of ${f.node}`, [
        ...verdictLines(f.answer.verdict),
        `outcome  ${f.answer.text}`,
      ]);
    case "arrival-uncaptured":
      return block(`Arrival at ${f.pod}`, [f.text, "outcome  the application gets the connection as it comes: no policy is asked"]);
    case "note":
      return `${f.text}\n`;
  }
};

/** The findings in the order of the way, a blank line between hops. */
export const explanation = (findings: readonly Finding[]): string => findings.map(one).join("\n");
