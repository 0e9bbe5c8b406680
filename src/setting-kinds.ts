// What a setting can be: each kind is read out of the text of a variable, or says in the rest of a sentence what is allowed.
import { isIP } from "node:net";
import { z } from "zod";

/** Shortest secret, in bytes: what HS256 asks for (RFC 7518, 3.2). */
const MIN_SECRET_BYTES = 32;

/** Whether the text could be a name or is an address; whether it is one of this machine, only the machine knows. */
export function isHost(text: string): boolean {
  return isIP(text) > 0 || /^[\w.-]+$/.test(text);
}

/**
 * A secret that is long enough.
 * @internal
 */
export function secret(description: string) {
  return z.string()
    .refine(
      (value) => new TextEncoder().encode(value).length >= MIN_SECRET_BYTES,
      `must have ${MIN_SECRET_BYTES} bytes or more, such as what openssl rand -base64 48 prints`,
    )
    .optional()
    .describe(description);
}

/**
 * Where a database is.
 * @internal
 */
export function databaseUrl(description: string) {
  return z.string()
    .regex(
      /^postgres(ql)?:\/\//,
      "must be a URL that begins with postgres:// or postgresql://, such as postgres://user:password@host:5432/database",
    )
    .optional()
    .describe(description);
}

/**
 * The path of a file that has the value of the setting `name` in it.
 * @internal
 */
export function file(name: string) {
  return z.string().optional().describe(`A file that has ${name} in it, as container tools hand over secrets`);
}

/** Whether nobody in between can change what comes from there. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null &&
    (url.protocol === "https:" ||
      url.protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname));
}

/** Whether a page's origin is written as a browser writes it (RFC 6454), or stands for all. */
export function isOrigin(text: string): boolean {
  return text === "*" || /^https?:/.test(text) && URL.parse(text)?.origin === text;
}

/**
 * Texts separated by commas; `otherwise` says what is allowed.
 * @internal
 */
export function list(isValid: (item: string) => boolean, otherwise: string) {
  return z.string()
    .transform((text) => text.split(",").map((item) => item.trim()).filter(Boolean))
    .refine((items) => items.length > 0 && items.every(isValid), otherwise)
    .optional();
}

/**
 * A whole number; `otherwise` where it is not set, and if that is not given, none.
 * @internal
 */
export function whole(min: number, max: number): z.ZodOptional<ReturnType<typeof between>>;
/** @internal */
export function whole(min: number, max: number, otherwise: number): z.ZodDefault<ReturnType<typeof between>>;
export function whole(min: number, max: number, otherwise?: number) {
  const number = between(min, max);
  return otherwise === undefined ? number.optional() : number.default(otherwise);
}

function between(min: number, max: number) {
  return z.string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
}
