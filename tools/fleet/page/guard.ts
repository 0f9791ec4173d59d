import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const COOKIE = "polaredge-page";

/** Who may see the page: anybody on this machine, or who knows the token. */
export class Guard {
  readonly #token: string | undefined;

  constructor(token: string | undefined) {
    this.#token = token;
  }

  /** Why a request gets no answer; undefined lets it in. */
  refusal(headers: IncomingHttpHeaders): { readonly status: 401 | 403; readonly text: string } | undefined {
    if (this.#token === undefined) {
      // Another site's name that leads here (DNS rebinding) is not one of these.
      if (isLoopback(hostIn(headers.host))) return undefined;
      return { status: 403, text: "this page answers to localhost only; give it a token to be reached from elsewhere" };
    }
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (bearer !== undefined && same(bearer, this.#token)) return undefined;
    const cookie = new RegExp(`(?:^|; )${COOKIE}=([0-9a-f]{64})(?:;|$)`).exec(headers.cookie ?? "")?.[1];
    if (cookie !== undefined && same(cookie, sessionOf(this.#token))) return undefined;
    return { status: 401, text: "a token is needed" };
  }

  /** The cookie of who has told the token. */
  signIn(token: string): string | undefined {
    if (this.#token === undefined || !same(token, this.#token)) return undefined;
    return `${COOKIE}=${sessionOf(this.#token)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000`;
  }
}

/** A page of another origin can make a browser send requests, but not with this origin. */
export function isSameOrigin({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined || host === undefined) return false;
  return URL.canParse(origin) && new URL(origin).host === host;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function hostIn(header: string | undefined): string {
  return (header ?? "").replace(/:\d+$/, "");
}

function sessionOf(token: string): string {
  return createHash("sha256").update(`polaredge page ${token}`).digest("hex");
}

/** In a time that does not tell where they differ. */
function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left, right);
}
