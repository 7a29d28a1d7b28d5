// ambit ca: what is the mesh's CA doing, and how does it get a new root or take a certificate back?

import { X509Certificate } from "node:crypto";
import { ANNOTATION, KEYS, ROOT_SECRET } from "@ambit/shared/ca/root-secret.ts";
import type { ConfigMap, Secret } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { durationMs } from "@ambit/shared/runtime/env.ts";
import { splitPem } from "@ambit/shared/tls/certificate.ts";
import type { Command } from "commander";
import type { Context } from "../context.ts";

type Revoked = { readonly serial: string; readonly at: string };

const decode = (text: string | undefined): string => Buffer.from(text ?? "", "base64").toString("utf8");

const istioNamespace = (command: Command): string => command.optsWithGlobals<{ istioNamespace: string }>().istioNamespace;

/** The CA's Secret; a sentence where the mesh's root is not our own. */
const ownSecret = async (ctx: Context, namespace: string): Promise<Secret> => {
  const { client } = ctx.cluster();
  if ((await client.get<Secret>(RESOURCES.secrets, { namespace, name: "cacerts" })) !== undefined)
    throw new Error(
      `the CA of this mesh is brought by Secret ${namespace}/cacerts: change that Secret (root-cert.pem, ca-crl.pem) instead`,
    );
  const secret = await client.get<Secret>(RESOURCES.secrets, { namespace, name: ROOT_SECRET });
  if (secret === undefined) throw new Error(`there is no Secret ${namespace}/${ROOT_SECRET}: has the controller started?`);
  return secret;
};

/**
 * Upper-case hex. Digits alone are decimal, as `ambit ztunnel-config certificate` and istioctl print them; with a letter, a colon or 0x it is
 * hex, as openssl does.
 */
export const serialOf = (text: string): string => {
  const hex = /^\d+$/.test(text) ? BigInt(text).toString(16) : text.replace(/^0x/i, "").replaceAll(":", "");
  if (!/^[0-9A-Fa-f]{1,40}$/.test(hex))
    throw new Error(`${JSON.stringify(text)} is not a serial number: want a decimal number, or hex such as 5F:5C:19`);
  return hex.toUpperCase().replace(/^0+(?=.)/, "");
};

const revokedIn = (secret: Secret): Revoked[] => {
  const text = decode(secret.data?.[KEYS.revoked]);
  return text === "" ? [] : (JSON.parse(text) as Revoked[]);
};

const describe = (pem: string, now: number): string => {
  const { serialNumber, subject, validToDate } = new X509Certificate(pem);
  const days = Math.floor((validToDate.getTime() - now) / 86_400_000);
  return `${subject.replaceAll("\n", ", ")}, serial number ${serialNumber}, until ${validToDate.toISOString()} (${days} days)`;
};

const status = async (ctx: Context, namespace: string): Promise<void> => {
  const { client } = ctx.cluster();
  const now = ctx.world.now();
  const secret = await client
    .get<Secret>(RESOURCES.secrets, { namespace, name: "cacerts" })
    .then(async (brought) => brought ?? (await ownSecret(ctx, namespace)));
  const { annotations = {} } = secret.metadata;
  ctx.print(`CA:      Secret ${namespace}/${secret.metadata.name}`);
  ctx.print(`signs:   ${describe(decode(secret.data?.["ca-cert.pem"]), now)}`);
  ctx.print(
    `phase:   ${annotations[ANNOTATION.phase] ?? "steady"}${annotations[ANNOTATION.until] === undefined ? "" : ` until ${annotations[ANNOTATION.until]}`}`,
  );
  const asked = annotations[ANNOTATION.asked] ?? "";
  if (asked !== (annotations[ANNOTATION.answered] ?? "")) ctx.print("asked:   a rotation that has not begun yet");
  const published = await client.get<ConfigMap>(RESOURCES.configMaps, { namespace, name: "istio-ca-root-cert" });
  for (const pem of splitPem(published?.data?.["root-cert.pem"] ?? "")) ctx.print(`trusted: ${describe(pem, now)}`);
  for (const r of revokedIn(secret)) ctx.print(`revoked: ${r.serial} since ${r.at}`);
};

type RotateOptions = { introduce?: string; retire?: string };

const rotate = async (ctx: Context, namespace: string, options: RotateOptions): Promise<void> => {
  for (const [name, text] of Object.entries(options)) {
    const ms = durationMs(text ?? "");
    if (text !== undefined && !ms.ok) throw new Error(`--${name} ${text}: ${ms.error}`);
  }
  const secret = await ownSecret(ctx, namespace);
  const phase = secret.metadata.annotations?.[ANNOTATION.phase];
  if (phase !== undefined) throw new Error(`a rotation is under way (${phase}): see ambit ca status`);
  const annotations = {
    [ANNOTATION.asked]: new Date(ctx.world.now()).toISOString(),
    // null takes away what an earlier wish left.
    [ANNOTATION.introduce]: options.introduce ?? null,
    [ANNOTATION.retire]: options.retire ?? null,
  };
  const key = { namespace, name: ROOT_SECRET };
  await ctx.cluster().client.patch(RESOURCES.secrets, key, { type: "merge", body: { metadata: { annotations } } });
  ctx.print("asked for a new root: the controller introduces it, switches to it, and drops the old one (ambit ca status)");
};

const revoke = async (ctx: Context, namespace: string, serials: readonly string[]): Promise<void> => {
  const wanted = serials.map(serialOf);
  const secret = await ownSecret(ctx, namespace);
  const held = revokedIn(secret);
  const at = new Date(ctx.world.now()).toISOString();
  const fresh = wanted.filter((s) => !held.some((h) => h.serial === s)).map((serial) => ({ serial, at }));
  if (fresh.length === 0) return ctx.print("revoked already");
  const data = { [KEYS.revoked]: Buffer.from(JSON.stringify([...held, ...fresh])).toString("base64") };
  // With the version that was read: two who revoke at once must not lose one another's.
  const { resourceVersion } = secret.metadata;
  const body = { metadata: { resourceVersion }, data };
  await ctx.cluster().client.patch(RESOURCES.secrets, { namespace, name: ROOT_SECRET }, { type: "merge", body });
  ctx.print(
    `revoked ${fresh.map((f) => f.serial).join(", ")}: proxies refuse and cut it once the list has reached them (ConfigMap istio-ca-crl)`,
  );
  ctx.note("an identity gets a new certificate at its next renewal: to shut a workload out, delete its pods or deny it by policy as well");
};

export const addCa = (program: Command, ctx: Context): void => {
  const ca = program.command("ca").description("The mesh's certificate authority");
  ca.command("status")
    .description("which root signs, which are trusted, what is revoked")
    .action((_o, command: Command) => status(ctx, istioNamespace(command)));
  ca.command("rotate")
    .description("replace the mesh's root: both are trusted during the overlap")
    .option("--introduce <duration>", "how long the new root is only made known; else ROOT_ROTATION_INTRODUCE (a certificate's lifetime)")
    .option("--retire <duration>", "how long the old root stays trusted after that; else ROOT_ROTATION_RETIRE (the longest lifetime)")
    .action((options: RotateOptions, command: Command) => rotate(ctx, istioNamespace(command), options));
  ca.command("revoke")
    .description("take certificates back by their serial numbers (see ambit ztunnel-config certificate)")
    .argument("<serial...>", "decimal, or hex with a letter, a colon or 0x in it")
    .action((serials: string[], _o, command: Command) => revoke(ctx, istioNamespace(command), serials));
};
