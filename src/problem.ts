// The few ways to fail, as clients see them: RFC 9457 problem details, with the article's `error` member beside.
// Internal text never gets in here: what a problem says is written for the client.

/**
 * What every answer says, but for the client's files: a browser must not take it for anything else than what it says it is
 * (`nosniff`), and hand it to no page of another site, not as an image or script either (Fetch, CORP).
 */
export const OWN_SITE = { "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin" };

/** A request that is not served. */
export class Problem extends Error {
  /** `Problem`. */
  override readonly name = "Problem";
  /** How long its answer is held back, in milliseconds. */
  delayMs = 0;

  /** Written for the client, all of it. */
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** The last part of the type's URN: what a program looks at. */
    readonly type: string,
    /** The type in words. */
    readonly title: string,
    /** What is wrong this time. */
    readonly detail: string,
    /** Further members of the answer. */
    readonly extra: Record<string, unknown> = {},
    /** Further headers of the answer. */
    readonly headers: Record<string, string> = {},
  ) {
    super(detail);
  }

  /** Holds its answer back: whoever is refused and asks again at once costs more by his refusals than by what he asks for. */
  heldBack(ms = RETRY_AFTER_MS): this {
    this.delayMs = ms;
    return this;
  }

  /** The answer: `application/problem+json`, with further members. */
  toResponse(more: Record<string, unknown> = {}): Response {
    const { status, title, detail } = this;
    const body = {
      type: `urn:linger:problem:${this.type}`,
      title,
      status,
      detail,
      error: detail,
      ...this.extra,
      ...more,
    };
    return new Response(JSON.stringify(body), {
      status,
      headers: {
        "content-type": "application/problem+json",
        "cache-control": "no-store",
        ...OWN_SITE,
        ...this.headers,
      },
    });
  }
}

/** When to come back, in milliseconds: what we answer 503 to is over in moments, or a person's work. */
const RETRY_AFTER_MS = 1_000;
const RETRY_AFTER = { "retry-after": `${RETRY_AFTER_MS / 1_000}` };

/** 400: `parameter` names what is wrong: a query parameter, a header, a member of the body, or `room`, `id`, `query`, `body`. */
export function invalid(parameter: string, detail: string): Problem {
  return new Problem(400, "invalid-request", "Invalid request", `${parameter}: ${detail}`, { parameter });
}

/** 401: who asks is not known, or not any more; `detail` says what is wrong with the token. */
export function unauthorized(detail: string): Problem {
  return new Problem(401, "unauthorized", "Unauthorized", detail, {}, {
    "www-authenticate": `Bearer error="invalid_token", error_description="${detail.replaceAll(/["\\]|[^ -~]/g, "")}"`,
  });
}

/** 403: who asks lacks the right in this room; 401 where he has shown no token. */
export function forbidden(right: string, isKnown: boolean): Problem {
  const detail = `You need the right to ${right} in this room`;
  if (!isKnown) return new Problem(401, "unauthorized", "Unauthorized", detail, {}, { "www-authenticate": "Bearer" });
  return new Problem(403, "forbidden", "Forbidden", detail, {}, {
    "www-authenticate": `Bearer error="insufficient_scope", error_description="${detail}"`,
  });
}

/** 403: a page of another site asks. */
export function crossOrigin(): Problem {
  return new Problem(
    403,
    "cross-origin",
    "Page of another site",
    "A page of another site may not use this server, unless its origin is among ALLOWED_ORIGINS",
  );
}

/** 421: the request names a host that is not this server. */
export function misdirected(): Problem {
  return new Problem(
    421,
    "misdirected",
    "Misdirected request",
    "This server does not answer for this host name: add it to ALLOWED_HOSTS if it should",
  );
}

/** 404: neither route nor message. */
export function notFound(detail: string): Problem {
  return new Problem(404, "not-found", "Not found", detail);
}

/** 405: the route is there, the method is not. */
export function methodNotAllowed(method: string, allow: string): Problem {
  return new Problem(
    405,
    "method-not-allowed",
    "Method not allowed",
    `${method} is not one of ${allow}`,
    {},
    { allow },
  );
}

/** 408: the request's body took longer than `ms` milliseconds to arrive. */
export function requestTimeout(ms: number): Problem {
  return new Problem(408, "request-timeout", "Request timeout", `The body did not arrive within ${ms} ms`, {}, {
    connection: "close",
  });
}

/** 413: the message or the request is longer than `limit` bytes. */
export function tooLarge(what: string, limit: number): Problem {
  return new Problem(413, "too-large", "Too large", `${what} is larger than ${limit} bytes`, { limit });
}

/** 415: the body is not JSON in UTF-8. */
export function unsupportedMediaType(): Problem {
  return new Problem(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Content-Type must be application/json",
  );
}

/** 422: the key belongs to another message of this room. */
export function keyReused(): Problem {
  return new Problem(
    422,
    "key-reused",
    "Idempotency key reused",
    "This Idempotency-Key was used in this room for a message with another body, author or reply_to",
  );
}

/** 429: this room takes more than its share of the queue; nothing was stored. */
export function roomBusy(): Problem {
  return new Problem(
    429,
    "room-busy",
    "Room busy",
    "Too many posts wait in this room; nothing was stored",
    {},
    RETRY_AFTER,
  );
}

/**
 * 429: this client has taken what one may; more in `ms` milliseconds.
 * The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
 */
export function tooManyRequests(
  { name, what, most, perMs, atOnce }: { name: string; what: string; most: number; perMs: number; atOnce: number },
  ms: number,
): Problem {
  const [seconds, window] = [Math.max(1, Math.ceil(ms / 1_000)), perMs / 1_000];
  return new Problem(
    429,
    "too-many-requests",
    "Too many requests",
    `This client ${what} too often: ${most} times in ${window} seconds are allowed, ${atOnce} of them at once; nothing was done`,
    {},
    {
      "retry-after": `${seconds}`,
      "ratelimit-policy": `"${name}";q=${most};w=${window}`,
      "ratelimit": `"${name}";r=0;t=${seconds}`,
    },
  );
}

/** 429: this client waits in as many places as one may. */
export function tooManyPlaces(most: number, what: string): Problem {
  return new Problem(
    429,
    "too-many-requests",
    "Too many requests",
    `This client has ${most} ${what} waiting, the most that one may have`,
    {},
    { "retry-after": "5", "ratelimit-policy": `"places";q=${most}`, "ratelimit": `"places";r=0` },
  );
}

/** 414: the URL is longer than `limit` characters. */
export function uriTooLong(limit: number): Problem {
  return new Problem(414, "uri-too-long", "URI too long", `The URL is longer than ${limit} characters`, { limit });
}

/** 503: nothing was stored; post again. */
export function notStored(why: string): Problem {
  return new Problem(
    503,
    "not-stored",
    "Not stored",
    `${why}; the message was not stored: post it again`,
    {},
    RETRY_AFTER,
  );
}

/** 503: nothing was changed. */
export function notChanged(why: string): Problem {
  return new Problem(503, "not-stored", "Not stored", `${why}; nothing was changed: send it again`, {}, RETRY_AFTER);
}

/** 503: the change may have been made. To send it again does no harm: it says how the message is to be. */
export function changeUnknown(): Problem {
  return new Problem(
    503,
    "outcome-unknown",
    "Outcome unknown",
    "The database did not answer in time; the message may have been changed: send it again",
    {},
    RETRY_AFTER,
  );
}

/** 403: the message is another's. */
export function foreignMessage(): Problem {
  return new Problem(
    403,
    "forbidden",
    "Forbidden",
    "This message is not yours: to change it you need the token, or the Message-Key, that it was posted with",
  );
}

/** 410: the message was deleted. */
export function gone(): Problem {
  return new Problem(410, "gone", "Gone", "This message was deleted");
}

/** 410: what came after the cursor was removed, since it was too old or its room was forgotten; from `earliest` on everything is there. */
export function trimmed(earliest: string): Problem {
  return new Problem(
    410,
    "trimmed",
    "Trimmed",
    "Messages after this cursor were removed: go on from earliest",
    { earliest },
  );
}

/** 412: the message is neither as it was known nor as it is to be. */
export function messageChanged(): Problem {
  return new Problem(
    412,
    "changed",
    "Changed",
    "The message has changed since you read it: read it again, then decide",
  );
}

/** 503: the message may have been stored; post again with the same key only. */
export function outcomeUnknown(): Problem {
  return new Problem(
    503,
    "outcome-unknown",
    "Outcome unknown",
    "The database did not answer in time; the message may have been stored: post it again with the same Idempotency-Key only",
    {},
    RETRY_AFTER,
  );
}

/** 503: can't be served now; perhaps in `ms` milliseconds. */
export function unavailable(why: string, ms = RETRY_AFTER_MS): Problem {
  return new Problem(503, "unavailable", "Unavailable", why, {}, { "retry-after": `${Math.ceil(ms / 1_000)}` });
}

/** 500: our fault; the log has it under this request id. */
export function internal(): Problem {
  return new Problem(500, "internal", "Internal error", "Something went wrong on this server");
}
