// What are the listeners of a pod called, on both sides of the thread boundary?

export const TRAFFIC = ["outbound", "passthrough", "hbone"] as const;
export type TrafficListener = (typeof TRAFFIC)[number];
