// How is a field's path written in Kubernetes' messages?

/** `spec` + `replicas` → `spec.replicas`. */
export const fieldOf = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** `spec.containers` + 0 → `spec.containers[0]`. */
export const indexOf = (path: string, index: number): string => `${path}[${index}]`;
