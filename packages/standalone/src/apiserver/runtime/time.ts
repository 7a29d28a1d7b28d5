// How does a time read as text? (RFC 3339 in whole seconds, as Kubernetes' metav1.Time prints it)

/** Milliseconds since the epoch to "YYYY-MM-DDThh:mm:ssZ". */
export const rfc3339 = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** The same with microseconds, for metav1.MicroTime. */
export const microTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

/** RFC 3339 text to milliseconds since the epoch; NaN when it is none. */
export const parseTime = (text: string): number => Date.parse(text);
