// Which description does a field have? (the packages keep them as comments of their type declarations)

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** A type as declared: enough of it to place the comments and to see fields that the validators do not mention. */
export type Doc = {
  readonly description?: string | undefined;
  readonly fields?: ReadonlyMap<string, Doc>;
  readonly items?: Doc;
  readonly values?: Doc;
};

type Token = { kind: "comment" | "string" | "word" | "sign"; text: string };

const TOKEN = /\/\*\*([\s\S]*?)\*\/|("(?:[^"\\]|\\.)*")|([A-Za-z_$][\w$.]*)|([{}[\]<>()|&;:?,=])|\s+|[^\s]/g;

const tokens = (text: string): Token[] => {
  const out: Token[] = [];
  for (const m of text.matchAll(TOKEN)) {
    if (m[1] !== undefined) out.push({ kind: "comment", text: cleanComment(m[1]) });
    else if (m[2] !== undefined) out.push({ kind: "string", text: JSON.parse(m[2]) });
    else if (m[3] !== undefined) out.push({ kind: "word", text: m[3] });
    else if (m[4] !== undefined) out.push({ kind: "sign", text: m[4] });
  }
  return out;
};

const cleanComment = (raw: string): string =>
  raw
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
    .join("\n")
    .trim()
    .replaceAll("*\\/", "*/");

const together = (a: Doc, b: Doc): Doc => ({
  ...a,
  ...b,
  ...(a.fields === undefined && b.fields === undefined ? {} : { fields: mergeFields(a.fields, b.fields) }),
});

const mergeFields = (a: ReadonlyMap<string, Doc> = new Map(), b: ReadonlyMap<string, Doc> = new Map()): ReadonlyMap<string, Doc> => {
  const merged = new Map(a);
  for (const [name, doc] of b) merged.set(name, together(merged.get(name) ?? {}, doc));
  return merged;
};

/** A reader over tokens; each method leaves the position after what it read. */
class Reader {
  readonly #tokens: readonly Token[];
  #at: number;
  constructor(all: readonly Token[], at: number) {
    this.#tokens = all;
    this.#at = at;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #is(sign: string): boolean {
    const token = this.#peek();
    return token?.kind === "sign" && token.text === sign;
  }

  /** `{ … }`, `Array<…>`, `( … )`, a name, or a union or intersection of them (whose fields are taken together). */
  type(): Doc {
    let doc: Doc = {};
    for (;;) {
      doc = together(doc, this.#single());
      if (this.#is("|") || this.#is("&")) this.#at++;
      else return doc;
    }
  }

  #single(): Doc {
    const token = this.#peek();
    if (token === undefined) return {};
    if (this.#is("{")) return this.object();
    if (this.#is("(")) {
      this.#at++;
      const inner = this.type();
      this.#at++;
      return inner;
    }
    this.#at++;
    if (token.kind === "word" && token.text === "Array" && this.#is("<")) {
      this.#at++;
      const items = this.type();
      this.#at++;
      return { items };
    }
    if (this.#is("<")) this.#skipAngles();
    return {};
  }

  #skipAngles(): void {
    let depth = 0;
    do {
      if (this.#is("<")) depth++;
      if (this.#is(">")) depth--;
      this.#at++;
    } while (depth > 0 && this.#peek() !== undefined);
  }

  object(): Doc {
    this.#at++;
    const fields = new Map<string, Doc>();
    let values: Doc | undefined;
    let description: string | undefined;
    while (this.#peek() !== undefined && !this.#is("}")) {
      const token = this.#peek();
      this.#at++;
      if (token?.kind === "comment") description = token.text;
      else if (token?.kind === "string") {
        if (this.#is("?")) this.#at++;
        this.#at++;
        fields.set(token.text, { ...this.type(), description });
        description = undefined;
      } else if (token?.kind === "sign" && token.text === "[") {
        while (!this.#is("]")) this.#at++;
        this.#at += 2;
        values = this.type();
      }
    }
    this.#at++;
    return { fields, ...(values === undefined ? {} : { values }) };
  }
}

/** The interface or type that a declaration file exports, with its comments. */
export const parseDeclaration = (text: string): { alias: string | undefined; doc: Doc } | undefined => {
  const alias = /export type \{ I\w+ as I(\w+)/.exec(text)?.[1];
  const all = tokens(text);
  const at = all.findIndex((t, i) => t.kind === "word" && t.text === "interface" && all[i - 1]?.text === "export");
  if (at < 0) return undefined;
  const open = all.findIndex((t, i) => i > at && t.kind === "sign" && t.text === "{");
  const before = all[at - 2];
  const description = before?.kind === "comment" ? before.text : undefined;
  return { alias, doc: { ...new Reader(all, open).object(), description } };
};

/** `security.istio.io/v1/AuthorizationPolicy.d.ts` → `SecurityIstioIoV1AuthorizationPolicy`, the name of its schema file. */
const nameOf = (path: string): string =>
  path
    .replace(/\.d\.ts$/, "")
    .split(/[./-]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");

/** Every documented type of a package directory, by the name that its schema file has. */
export const readDocs = (directory: string): ReadonlyMap<string, Doc> => {
  const docs = new Map<string, Doc>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".d.ts") || entry.parentPath.includes("_schemas") || entry.name === "index.d.ts") continue;
    const parsed = parseDeclaration(readFileSync(join(entry.parentPath, entry.name), "utf8"));
    if (parsed !== undefined) docs.set(parsed.alias ?? nameOf(join(relative(directory, entry.parentPath), entry.name)), parsed.doc);
  }
  return docs;
};
