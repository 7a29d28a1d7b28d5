// How does a core/v1 Event read as an events.k8s.io/v1 Event, and back? (k8s.io/kubernetes/pkg/apis/events/v1/conversion.go)

import { type JsonObject, type KubeObject, obj } from "../model/object.ts";

const RENAMED: readonly (readonly [core: string, modern: string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
  ["reportingComponent", "reportingController"],
];

const rename = (o: KubeObject, pairs: readonly (readonly [string, string])[]): KubeObject => {
  const names = new Map(pairs);
  const out: JsonObject = Object.fromEntries(Object.entries(o).map(([k, v]) => [names.get(k) ?? k, v]));
  return { ...out, apiVersion: o.apiVersion, kind: "Event", metadata: o.metadata };
};

export const coreToNewEvent = (o: KubeObject): KubeObject => ({ ...rename(o, RENAMED), apiVersion: "events.k8s.io/v1" });

export const newToCoreEvent = (o: KubeObject): KubeObject => {
  const core = rename(
    o,
    RENAMED.map(([a, b]) => [b, a] as const),
  );
  return { ...core, apiVersion: "v1", involvedObject: obj(core.involvedObject) };
};
