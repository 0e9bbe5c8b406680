// A misspelt setting is ignored, so it has to be told; but the environment is full of names that mean something else.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };
import { describeSettings } from "../src/config.ts";
import { misspelt } from "../src/names.ts";
import { projectPath } from "./support/postgres.ts";

/** Variables that shells, desktops, CI, containers, service managers, hosters and other programs set. */
const COMMON = `
  _ BASH_ENV BASHOPTS COLORTERM COLUMNS COMP_WORDBREAKS CDPATH DISPLAY EDITOR EUID HISTFILE HISTSIZE HOME HOSTNAME HOSTTYPE IFS
  LANG LANGUAGE LC_ALL LC_CTYPE LESS LESSOPEN LINES LOGNAME LS_COLORS MACHTYPE MAIL MANPATH OLDPWD OPTIND OSTYPE PAGER PATH
  PPID PROMPT PROMPT_COMMAND PS1 PWD RANDOM SECONDS SHELL SHELLOPTS SHLVL SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_TTY
  SUDO_COMMAND SUDO_USER TERM TERM_PROGRAM TMOUT TMP TMPDIR TMUX TZ UID USER USERNAME VISUAL WINDOWID XAUTHORITY ZDOTDIR
  DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION GDK_BACKEND GPG_AGENT_INFO QT_QPA_PLATFORM WAYLAND_DISPLAY XDG_CACHE_HOME
  XDG_CONFIG_DIRS XDG_CONFIG_HOME XDG_DATA_DIRS XDG_DATA_HOME XDG_RUNTIME_DIR XDG_SESSION_ID XDG_STATE_HOME
  INVOCATION_ID JOURNAL_STREAM LISTEN_FDS LISTEN_PID MEMORY_PRESSURE_WATCH NOTIFY_SOCKET RUNTIME_DIRECTORY STATE_DIRECTORY
  SYSTEMD_EXEC_PID WATCHDOG_USEC
  CI GITHUB_ACTIONS GITHUB_HEAD_REF GITHUB_JOB GITHUB_PATH GITHUB_SHA GITHUB_TOKEN GITLAB_CI RUNNER_OS RUNNER_TEMP
  CONTAINER DEBIAN_FRONTEND DOCKER_HOST KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_PORT_443_TCP_ADDR
  KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT LINGER_PORT LINGER_SERVICE_HOST LINGER_SERVICE_PORT POD_IP POD_NAME
  AWS_ACCESS_KEY_ID AWS_REGION AWS_SECRET_ACCESS_KEY DYNO FLY_APP_NAME RAILWAY_ENVIRONMENT RENDER REGION
  DB_HOST DB_PORT DBHOST DATABASE DATABASE_HOST DATABASE_NAME DATABASE_PASSWORD DATABASE_PORT DATABASE_USER
  MYSQL_HOST PGDATA PGDATABASE PGHOST PGPASSWORD PGPORT PGUSER POSTGRES_DB POSTGRES_PASSWORD POSTGRES_USER REDIS_HOST REDIS_PORT
  REDIS_URL SMTP_HOST SMTP_PORT TEST_DATABASE_URL DATABASE_URL_UNPOOLED POSTGRES_URL SHADOW_DATABASE_URL
  DENO_CERT DENO_DEPLOYMENT_ID DENO_DEPLOY_APP_ID DENO_DIR DENO_INSTALL DENO_JOBS DENO_NO_UPDATE_CHECK DENO_SERVE_ADDRESS
  DENO_V8_FLAGS GOMAXPROCS GOPATH GOROOT JAVA_HOME JAVA_OPTS MALLOC_ARENA_MAX NODE_ENV NODE_OPTIONS NODE_PATH NO_COLOR
  OMP_NUM_THREADS OTEL_EXPORTER_OTLP_ENDPOINT PYTHONPATH RUST_BACKTRACE RUST_LOG UV_THREADPOOL_SIZE VIRTUAL_ENV
  HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy ALL_PROXY SSL_CERT_FILE SSL_CERT_DIR
  npm_config_cache npm_config_registry npm_execpath npm_lifecycle_event npm_node_execpath npm_package_json INIT_CWD NODE
  CHROMIUM FUZZ_RUNS EMAIL ENV HOSTALIASES LOCALDOMAIN LOG_LEVEL ROOT SORT TEST BASE_DIR DATA_HOME JAVA_DIR LOG_DIR TEMP
  WORKDIR APP_PORT WEB_PORT HTTP_HOST HTTP_PORT SERVER_PORT TIMEOUT_MS MAX_CONNECTIONS MAX_MEMORY WEB_CONCURRENCY
`.trim().split(/\s+/);

Deno.test("misspelt() says nothing of the variables that other programs use", () => {
  assertEquals(misspelt(COMMON), []);
  assertEquals(misspelt(describeSettings().map(({ name }) => name)), []);
});

Deno.test("misspelt() knows a setting by another case, by a hyphen and by a letter or two", () => {
  const meant: Record<string, string> = {
    MAX_WAITER: "MAX_WAITERS",
    MAXWAITERS: "MAX_WAITERS",
    "max-waiters": "MAX_WAITERS",
    MAX_WIATERS: "MAX_WAITERS",
    port: "PORT",
    PROT: "PORT",
    Host: "HOST",
    THREAD: "THREADS",
    DATABASE_URI: "DATABASE_URL",
    DATABSE_URL: "DATABASE_URL",
    DATADIR: "DATA_DIR",
    FALLBACK_WITHOUT_LISTENMS: "FALLBACK_WITHOUT_LISTEN_MS",
    STATEMENT_TIMOUT_M: "STATEMENT_TIMEOUT_MS",
    MAX_QUEUED_POST_PER_ROOM: "MAX_QUEUED_POSTS_PER_ROOM",
    HEARTBEAT_M: "HEARTBEAT_MS",
  };
  for (const [name, setting] of Object.entries(meant)) {
    assertEquals(misspelt([name, ...COMMON]), [`${name} is not a setting; did you mean ${setting}?`]);
  }
});

Deno.test("misspelt() takes what is set under its right name as meant", () => {
  assertEquals(misspelt(["MAX_WAITER", "MAX_WAITERS"]), []);
  assertEquals(misspelt(["HOSTS", "HOST", "PROT"]), ["PROT is not a setting; did you mean PORT?"]);
});

Deno.test("start and serve tell of a misspelt setting, each with the permissions of its task", async () => {
  for (const task of ["start", "serve", "migrate", "doctor"] as const) {
    const deno = `"${Deno.execPath()}"`;
    const { stderr } = await new Deno.Command("sh", {
      // An address that is none ends it, before there is a database to start or to wait for.
      args: ["-c", manifest.tasks[task].command.replaceAll(/\bdeno run\b/g, `${deno} run --quiet`)],
      cwd: projectPath("."),
      env: { MAX_WAITER: "3", HOST: "no.such.host.invalid", SECRET: "a", DATABASE_URL: "postgres://127.0.0.1:1/none" },
      stdin: "null",
    }).output();
    const log = new TextDecoder().decode(stderr);
    assertMatch(log, /^\S+ warn MAX_WAITER is not a setting; did you mean MAX_WAITERS\?$/m);
    assertEquals(log.split("MAX_WAITER is").length, 2, log);
  }
});

Deno.test("Where the names can't be seen, nothing is said of them", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--frozen", "--quiet", "--allow-env=MAX_*", projectPath("src/names.ts")],
    env: { MAX_WAITER: "3" },
  }).output();
  assert(success);
  assertEquals(new TextDecoder().decode(stderr), "");
});

Deno.test("What sees all names may do nothing else", () => {
  for (const task of ["serve", "migrate", "doctor"] as const) {
    const [looks, runs] = manifest.tasks[task].command.split(" && ");
    assertStringIncludes(looks!, "src/names.ts");
    assertEquals(looks!.match(/--allow-\S+/g), ["--allow-env"]);
    assertMatch(runs!, new RegExp(`main\\.ts ${task}$`));
    assert(!/--allow-env( |$)/.test(runs!));
  }
});
