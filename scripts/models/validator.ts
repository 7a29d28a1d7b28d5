// Which JSON schema was this compiled validator made from? (the kubernetes-models packages publish only compiled validators)
//
// Their compiler is regular: one function a schema node; each keyword is an error literal carrying its parameters, each
// subschema a call of another function. So the schema is read back keyword by keyword. Defaults, list types and CEL rules
// leave no trace in a validator; annotate.ts and the CRD table add those.

export type Node = {
  $ref?: string;
  type?: string;
  nullable?: boolean;
  format?: string;
  enum?: unknown[];
  pattern?: string;
  properties?: Record<string, Node>;
  required?: string[];
  items?: Node;
  additionalProperties?: Node | boolean;
  allOf?: Node[];
  anyOf?: Node[];
  oneOf?: Node[];
  not?: Node;
  description?: string;
  default?: unknown;
  [keyword: string]: unknown;
};

type Source = { bodies: Map<string, string>; refs: Map<string, string>; enums: Map<string, unknown[]>; alias: Map<string, string> };

const FUNCTION = /function (validate\d+)\(data,\{instancePath="",parentData,parentDataProperty,rootData=data\}=\{\}\)\{/g;
const STRING = String.raw`"(?:[^"\\]|\\.)*"`;

const readSource = (text: string): Source => {
  const bodies = new Map<string, string>();
  for (const match of text.matchAll(FUNCTION)) {
    const name = match[1] ?? "";
    const start = match.index + match[0].length;
    const end = text.indexOf(`${name}.errors=vErrors,0===errors}`, start);
    if (end < 0) throw new Error(`no end found for ${name}`);
    bodies.set(name, text.slice(start, end));
  }
  const refs = new Map<string, string>();
  for (const m of text.matchAll(/import\{validate as (validate\d+)\}from"(?:[^"]*\/)?([^"/]+?)(?:\.js)?"/g))
    refs.set(m[1] ?? "", m[2] ?? "");
  const enums = new Map<string, unknown[]>();
  for (const m of text.matchAll(new RegExp(String.raw`(schema\d+_enum)=(\[(?:${STRING}|[^\]"])*\])`, "g"))) {
    enums.set(m[1] ?? "", JSON.parse(m[2] ?? "[]"));
  }
  const alias = new Map<string, string>();
  for (const m of text.matchAll(/(wrapper\d+_validate)=(validate\d+)/g)) alias.set(m[1] ?? "", m[2] ?? "");
  return { bodies, refs, enums, alias };
};

const KEYWORD = new RegExp(String.raw`schemaPath:"#\/(\w+)",keyword:"(\w+)",params:\{((?:${STRING}|[^}"])*)\}`, "g");
const CALL = /((?:validate|wrapper)\d+(?:_validate)?)\(data(?:\.([\w$]+)|\[("(?:[^"\\]|\\.)*")\]|\[(i\d+)\]|\[(key\d+)\])?,\{/g;

/** A call of a subschema and the keywords, in the order in which the compiler wrote them. */
type Piece =
  | { at: number; kind: "call"; target: string; property?: string; each?: "item" | "key" }
  | { at: number; kind: "keyword"; keyword: string; params: string };

const pieces = (body: string): Piece[] => {
  const found: Piece[] = [];
  for (const m of body.matchAll(KEYWORD)) found.push({ at: m.index, kind: "keyword", keyword: m[2] ?? "", params: m[3] ?? "" });
  for (const m of body.matchAll(CALL)) {
    const property = m[2] ?? (m[3] === undefined ? undefined : (JSON.parse(m[3]) as string));
    found.push({
      at: m.index,
      kind: "call",
      target: m[1] ?? "",
      ...(property === undefined ? {} : { property }),
      ...(m[4] === undefined ? (m[5] === undefined ? {} : { each: "key" as const }) : { each: "item" as const }),
    });
  }
  return found.sort((a, b) => a.at - b.at);
};

const parameter = (params: string, name: string): string => {
  const m = new RegExp(`(?:^|,)${name}:(${STRING}|[^,]*)`).exec(params);
  if (m?.[1] === undefined) throw new Error(`no parameter ${name} in ${params}`);
  return m[1];
};

const unquote = (text: string): string => (text.startsWith('"') ? (JSON.parse(text) as string) : text);

const composites = new Set(["anyOf", "oneOf", "not"]);

const decompileBody = (body: string, source: Source, node: (name: string) => Node): Node => {
  const out: Node = {};
  let pending: Node[] = [];
  for (const piece of pieces(body)) {
    if (piece.kind === "call") {
      const child = node(piece.target);
      if (piece.property !== undefined) out.properties = { ...out.properties, [piece.property]: child };
      else if (piece.each === "item") out.items = child;
      else if (piece.each === "key") out.additionalProperties = child;
      else pending.push(child);
      continue;
    }
    if (composites.has(piece.keyword)) {
      if (pending.length === 0) throw new Error(`${piece.keyword} without subschemas`);
      if (piece.keyword === "not") out.not = pending[0] ?? {};
      else out[piece.keyword] = pending;
      pending = [];
      continue;
    }
    readKeyword(out, piece, source);
  }
  if (pending.length === 1 && pending[0]?.$ref !== undefined) out.$ref = pending[0].$ref;
  else if (pending.length > 0) out.allOf = pending;
  if (/&&null!==data\)|null!==data&&|return null!==data/.test(body)) out.nullable = true;
  return out;
};

const readKeyword = (out: Node, piece: { keyword: string; params: string }, source: Source): void => {
  switch (piece.keyword) {
    case "type":
      out.type = unquote(parameter(piece.params, "type"));
      return;
    case "required":
      out.required = [...(out.required ?? []), unquote(parameter(piece.params, "missingProperty"))];
      return;
    case "enum":
      out.enum = source.enums.get(parameter(piece.params, "allowedValues")) ?? [];
      return;
    case "format":
    case "pattern":
      out[piece.keyword] = unquote(parameter(piece.params, piece.keyword));
      return;
    case "minimum":
    case "maximum":
    case "minLength":
    case "maxLength":
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties":
      out[piece.keyword] = Number(parameter(piece.params, "limit"));
      return;
    default:
      throw new Error(`the keyword ${piece.keyword} is not known`);
  }
};

/** The schema behind one `_schemas/*.js` file; `$ref`s name other such files without their ending. */
export const decompile = (text: string): Node => {
  const source = readSource(text);
  const entry = /export const validate=(validate\d+)/.exec(text)?.[1];
  if (entry === undefined) throw new Error("the file exports no validator");
  const node = (name: string): Node => {
    const target = source.alias.get(name) ?? name;
    const ref = source.refs.get(target);
    if (ref !== undefined) return { $ref: ref };
    const body = source.bodies.get(target);
    if (body === undefined) throw new Error(`no function ${target}`);
    return decompileBody(body, source, node);
  };
  return node(entry);
};
