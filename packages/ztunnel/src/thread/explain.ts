// What does a data thread say of a connection that it would be asked to serve?

import { AdminError } from "@ambit/shared/admin/server.ts";
import { type ExplainSources, explainInbound, explainOutbound } from "../admin/explain.ts";
import type { ExplainAnswer, ExplainQuestion } from "./messages.ts";

/** The answer as JSON, or the caller's mistake. */
export const answerExplain = (sources: ExplainSources, { which, query }: ExplainQuestion): ExplainAnswer => {
  const request = { method: "GET", query: new URLSearchParams(query.map(([k, v]) => [k, v])) };
  try {
    return { json: which === "outbound" ? explainOutbound(sources, request) : explainInbound(sources, request) };
  } catch (e) {
    if (!(e instanceof AdminError)) throw e;
    return { status: e.status, error: e.message };
  }
};
