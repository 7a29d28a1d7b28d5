// Which pod and container on this node does a request mean?

import type { Kubelet } from "../kubelet/kubelet.ts";
import type { PodWorker } from "../kubelet/worker.ts";
import { allContainers } from "../pod/plan.ts";

/** A refusal with its HTTP status. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const workerOf = (kubelet: Kubelet, r: { readonly namespace: string; readonly pod: string }): PodWorker => {
  const worker = kubelet.find(r.namespace, r.pod);
  if (worker === undefined) throw new Refused(404, `pod "${r.pod}" in namespace "${r.namespace}" is not on this node`);
  return worker;
};

export const containerName = (worker: PodWorker, asked: string): string => {
  const object = worker.object();
  const names = object === undefined ? Object.keys(worker.record().containers) : allContainers(object.spec).map((c) => c.name);
  const name = asked === "" ? object?.spec.containers[0]?.name : asked;
  if (name === undefined || !names.includes(name)) throw new Refused(404, `container ${asked} not found in pod ${worker.ref.name}`);
  return name;
};

export const execTarget = (worker: PodWorker, container: string): NonNullable<ReturnType<PodWorker["exec"]>> => {
  const target = worker.exec(container);
  if (target === undefined) throw new Refused(400, `container "${container}" of pod "${worker.ref.name}" does not run`);
  return target;
};
