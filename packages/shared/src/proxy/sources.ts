// Where does a proxy get its state and its certificates from? (the controller, over gRPC)

import { createCaClient } from "../ca/client.ts";
import type { IssuedCert } from "../ca/types.ts";
import { type ChannelOptions, createChannel } from "../grpc/channel.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import { createXdsClient, type XdsClient, type XdsClientOptions, type XdsType } from "../xds/client.ts";

/** What a proxy takes from the control plane; a test gives its own. */
export type Sources = {
  readonly fetchCertificate: (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
  follow(types: readonly XdsType[]): Pick<XdsClient, "run" | "firstSync" | "subscribe" | "unsubscribe">;
  close(): void;
};

export type ControllerOptions = Omit<XdsClientOptions, "channel" | "types"> & {
  readonly xds: ChannelOptions;
  readonly ca: ChannelOptions;
  /** `impersonate`: asks for other identities than that of the token, as ztunnel does for its node's pods. */
  readonly certificates: { readonly ttlMs: number; readonly impersonate: boolean };
};

/** The two channels to the controller, dialled when they are first used. */
export const controllerSources = ({ xds, ca, certificates, ...follow }: ControllerOptions): Sources => {
  const stateChannel = createChannel(xds);
  const caChannel = createChannel(ca);
  const client = createCaClient({ channel: caChannel, ...certificates });
  return {
    fetchCertificate: (id, signal) => client.fetch(id, signal),
    follow: (types) => createXdsClient({ channel: stateChannel, types, ...follow }),
    close: () => {
      stateChannel.close();
      caChannel.close();
    },
  };
};
