// What do components answer to `ambit explain`? (the JSON between their admin servers and the CLI; plain data)

/** What one policy says of the asked connection or request; `rule` is the index of the rule that matched. */
export type ExplainPolicy = {
  readonly policy: string;
  readonly action: "ALLOW" | "DENY";
  readonly dryRun: boolean;
  readonly rule?: number | undefined;
  readonly rules: number;
};

export type ExplainVerdict = {
  readonly allowed: boolean;
  /** One sentence, naming the policy and rule that decided. */
  readonly text: string;
  readonly policies: readonly ExplainPolicy[];
  /** Policies in force that have not been received: while there is one, all is denied. */
  readonly missing: readonly string[];
};

export type ExplainWorkload = {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
  readonly identity: string;
};

export type ExplainCandidate = {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  readonly rank: number;
  /** Why it may not be chosen; absent: eligible. */
  readonly excluded?: string | undefined;
};

/** ztunnel `/explain/outbound?namespace=&pod=&to=ip:port` */
export type ExplainOutbound = {
  readonly source: ExplainWorkload;
  readonly to: string;
  /** What the dialled address is. */
  readonly found: "workload" | "service" | "unknown";
  /** "ns/hostname" of the service that was addressed. */
  readonly service?: string | undefined;
  readonly kind: "passthrough" | "tcp" | "hbone" | "double-hbone" | "resolve" | "reject";
  /** The plan's own reason word. */
  readonly why: string;
  /** One sentence. */
  readonly text: string;
  /** The address that is dialled: for hbone the peer's 15008. */
  readonly via?: string | undefined;
  readonly authority?: string | undefined;
  /** SPIFFE ids of which the peer must have one. */
  readonly expect: readonly string[];
  /** The endpoint, or the instance of the waypoint. */
  readonly workload?: ExplainWorkload | undefined;
  readonly candidates: readonly ExplainCandidate[];
  /** For reject: the MeshErrorCode. */
  readonly code?: string | undefined;
};

/** ztunnel `/explain/inbound?namespace=&pod=&to=ip:port&source=spiffe://…|none&sourceIp=` (source=none: plaintext on 15006) */
export type ExplainInbound = {
  readonly workload: ExplainWorkload;
  readonly kind: "forward" | "hairpin" | "reject";
  readonly text: string;
  /** Where the application is dialled. */
  readonly to?: string | undefined;
  readonly code?: string | undefined;
  readonly verdict?: ExplainVerdict | undefined;
};

export type ExplainRule = { readonly route: string; readonly rule: string; readonly matched: boolean; readonly why: string };

/** waypoint `/explain?authority=ip:port&source=spiffe://…&sourceIp=&method=&path=&host=&header=name:value` (header may repeat) */
export type ExplainWaypoint = {
  readonly authority: string;
  /** "ns/hostname"; absent: not a service of this waypoint. */
  readonly service?: string | undefined;
  readonly protocol?: string | undefined;
  readonly verdict?: ExplainVerdict | undefined;
  /** In order of precedence, up to and including the one that matched. */
  readonly rules: readonly ExplainRule[];
  /** "HTTPRoute/ns/name rule" that was chosen, or how requests go without one. */
  readonly chosen: string;
  readonly filters: readonly string[];
  readonly backends: readonly { readonly target: string; readonly weight: number; readonly share: string }[];
  /** One endpoint as it would be chosen now. */
  readonly endpoint?: ExplainWorkload | undefined;
  readonly endpointPort?: number | undefined;
  readonly candidates: readonly ExplainCandidate[];
  /** The address dialled and the SPIFFE ids expected there; none when the endpoint takes plaintext. */
  readonly via?: string | undefined;
  readonly expect: readonly string[];
  /** The status the caller gets when the waypoint answers by itself (403, 404, 500, 503, a redirect). */
  readonly status?: number | undefined;
  /** One sentence: what happens to the request. */
  readonly text: string;
};

/** cni `/explain/pod?namespace=&name=` */
export type ExplainPod = {
  readonly node: string;
  readonly wanted: { readonly kind: "enrol" | "leave" | "wait" | "forget"; readonly why: string };
  readonly text: string;
  readonly done: {
    readonly rules: string;
    readonly announced: boolean;
    readonly probes: boolean;
    readonly annotation?: string | undefined;
  };
  readonly lastError?: string | undefined;
};
