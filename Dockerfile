# The image that runs `linger serve`; `docker run … migrate` brings the database up to date and ends.
#
#   docker build -t linger .
#   docker run -p 127.0.0.1:8080:8080 -e DATABASE_URL=postgres://user:password@host/database -e TOKEN_SECRET=… linger
#
# Without TOKEN_SECRET everybody who can reach it may read and write. -p 8080:8080 would open it to the network.
#
# To pin the base image beyond its tag, append the digest that this command prints, as in 2.9.6@sha256:…
#   docker buildx imagetools inspect denoland/deno:2.9.6
FROM denoland/deno:2.9.6

ENV DENO_DIR=/deno-dir \
    DENO_NO_UPDATE_CHECK=1 \
    DENO_NO_PROMPT=1

WORKDIR /app
# The dependencies, in a layer that stays while only our own code changes: what the server imports, for deno.json asks for no
# more to be fetched (npm-lazy-caching). It links to tests/std, and Deno reads it whatever it runs.
COPY deno.json deno.lock ./
COPY tests/std tests/std
RUN echo 'import "hono"; import "jose/jwt/verify"; import "postgres"; import "ulid"; import "zod";' > dependencies.ts \
  && deno install --frozen --entrypoint dependencies.ts \
  && rm dependencies.ts

COPY main.ts ./
COPY src src
COPY migrations migrations
# All files belong to root: the server can read its own code and change none of it.
RUN deno install --frozen --entrypoint main.ts

USER deno
ENV HOST=0.0.0.0
EXPOSE 8080

# SIGTERM makes the server answer all who wait, finish the posts under way and end, in less than 5 seconds.
STOPSIGNAL SIGTERM

# /healthz and not /readyz: an unhealthy container gets replaced, and that brings no database back. Load balancers ask
# /readyz, which also says whether the database answers.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["deno", "eval", "--no-config", "const { ok } = await fetch('http://127.0.0.1:' + (Deno.env.get('PORT') || 8080) + '/healthz'); Deno.exit(ok ? 0 : 1)"]

# /tini comes with the base image. src/names.ts tells of misspelt settings first: it may read the whole environment, and nothing
# else. Then Linger takes the place of the shell, so that signals reach it and its status is the container's. It may run
# no programs, read nothing but its own code and /run/secrets, and write no files: the folders after --allow-write are those of
# PostgreSQL's sockets. The folder of another socket, such as /cloudsql, has to be added there and to --allow-read. The names after
# --allow-env are the settings in src/config.ts and what the database driver looks for.
ENTRYPOINT ["/tini", "--", "sh", "-c", "\
  deno run --cached-only --frozen --node-modules-dir=none --allow-env src/names.ts && \
  exec deno run --cached-only --frozen --node-modules-dir=none \
  --allow-net --allow-read=migrations,src,/run/secrets,/run/postgresql,/var/run/postgresql \
  --allow-write=/run/postgresql,/var/run/postgresql \
  '--allow-env=PORT,HOST,THREADS,TOKEN_*,ANONYMOUS_*,REVOKED,SIGN_IN_URL,ALLOWED_*,PROXY_HOPS,RETENTION,POSTS_PER_MINUTE,PLACES_PER_CLIENT,DATABASE_*,DATA_DIR,READ_CONNECTIONS,MAX_*,FALLBACK_*,HEARTBEAT_MS,HISTORY_MAX_AGE,STATEMENT_*,UPLOAD_*,DRAIN_MS,DENO_DEPLOY*,PG*,USER,USERNAME,LOGNAME' \
  main.ts \"$@\"", "sh"]
CMD ["serve"]
