// Which step of a root's rotation comes next? (introduced, switched to, and only then is the old one dropped)

import type { CertificateAuthority } from "@ambit/shared/tls/issue.ts";

/**
 * steady: one root signs and is trusted.
 * introducing: the old root still signs, both are trusted: every proxy learns the new one before it meets a certificate of it.
 * retiring: the new root signs, both are trusted: certificates of the old one run out or are renewed. The old key is kept for its
 * revocation lists alone.
 */
export type Phase =
  | { readonly kind: "steady" }
  /** Times in milliseconds since the epoch. */
  | { readonly kind: "introducing"; readonly next: CertificateAuthority; readonly until: number }
  | { readonly kind: "retiring"; readonly old: CertificateAuthority; readonly until: number };

export type RootState = {
  readonly signer: CertificateAuthority;
  readonly notAfter: number;
  /** When the signer began to be valid. */
  readonly notBefore: number;
  readonly phase: Phase;
  /** What an operator last asked for (any text: each new one asks again), and the last that was done. */
  readonly asked: string;
  readonly answered: string;
  /** How long the steps of the rotation asked for shall last, where it is told. */
  readonly introduceMs: number | undefined;
  readonly retireMs: number | undefined;
};

export type RotationSettings = {
  readonly introduceMs: number;
  readonly retireMs: number;
  /** A root is rotated by itself when less than this share of its life is left (Istio's CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE). */
  readonly gracePercent: number;
};

export type RotationStep = {
  readonly state: RootState;
  /** For the log and for people. */
  readonly why: string;
};

/** When the root is rotated by itself. */
export const rotationDue = (s: Pick<RootState, "notBefore" | "notAfter">, settings: Pick<RotationSettings, "gracePercent">): number =>
  s.notAfter - ((s.notAfter - s.notBefore) * settings.gracePercent) / 100;

/** When there will be a step to take, if nobody asks for one before. */
export const nextStepAt = (s: RootState, settings: RotationSettings): number =>
  s.phase.kind === "steady" ? rotationDue(s, settings) : s.phase.until;

export type NewRoot = CertificateAuthority & { readonly notBefore: number; readonly notAfter: number };

/** The step that is due now; undefined: none. `makeRoot` is called only when one begins. */
export const rotationStep = (
  s: RootState,
  at: { readonly now: number; readonly settings: RotationSettings; readonly makeRoot: () => NewRoot },
): RotationStep | undefined => {
  const { now, settings } = at;
  const { phase } = s;
  switch (phase.kind) {
    case "steady": {
      const asked = s.asked !== s.answered;
      if (!asked && now < rotationDue(s, settings)) return undefined;
      const next = at.makeRoot();
      const until = now + (asked ? (s.introduceMs ?? settings.introduceMs) : settings.introduceMs);
      const { certPem, keyPem } = next;
      const state: RootState = { ...s, answered: s.asked, phase: { kind: "introducing", next: { certPem, keyPem }, until } };
      return { state, why: asked ? "an operator asked for it" : "the root nears its end" };
    }
    case "introducing": {
      if (now < phase.until) return undefined;
      const until = now + (s.retireMs ?? settings.retireMs);
      return { state: { ...s, signer: phase.next, phase: { kind: "retiring", old: s.signer, until } }, why: "the new root is known" };
    }
    case "retiring":
      if (now < phase.until) return undefined;
      return {
        state: { ...s, phase: { kind: "steady" }, introduceMs: undefined, retireMs: undefined },
        why: "the certificates of the old root have run out",
      };
  }
};

/** What is trusted in this state, the signer's root first. */
export const trustedRoots = (s: RootState): readonly string[] => {
  switch (s.phase.kind) {
    case "steady":
      return [s.signer.certPem];
    case "introducing":
      return [s.signer.certPem, s.phase.next.certPem];
    case "retiring":
      return [s.signer.certPem, s.phase.old.certPem];
  }
};
