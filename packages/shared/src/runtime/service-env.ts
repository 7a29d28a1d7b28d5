// Where does Kubernetes tell a pod that the API server is?

/** The two variables every container has; undefined outside a cluster. */
export const apiServerFromEnvironment = (): { readonly host: string; readonly port: string } | undefined => {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  return host === undefined || port === undefined ? undefined : { host, port };
};
