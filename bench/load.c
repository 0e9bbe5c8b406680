// The load, as light as a load can be: HTTP/1.1 over bare sockets, one thread, one epoll, requests made once. In C, since
// it shares two cores with the server that it measures, and a load in JavaScript takes as much of them as the server.
//
//   load fanout PORT GET POST WAITERS ROUNDS SETTLE_MS   parks WAITERS polls, posts once, and tells when each had its
//                                                        answer, counted from the first byte of the post; ROUNDS times
//   load streams PORT GET POST STREAMS ROUNDS SETTLE_MS  the same with streams, each of which has the message when bytes of
//                                                        its body have come
//   load loop PORT REQUEST CONNECTIONS SECONDS           each connection asks again as soon as it has its answer
//   load ping PORT PORT GET POST TIMES                   parks one poll at the first port, posts at the second
//   load follow PORT HOST_PATH QUERY                     reads page after page, as Link says, to the empty one
//   load hold PORT GET WAITERS                           keeps WAITERS polls waiting, or streams open, until standard input ends
//
// GET, POST and REQUEST are files with a whole request, in which the five characters %room stand for one of as
// many rooms as the environment's ROOMS says (1): each request takes the next. With BACK in the environment the clients of
// fanout come straight back, each as soon as it has its answer, to where its Link leads; with PROBE, a file with a request,
// one more connection asks that over and over until the last has its answer.
// Prints one line of JSON for each round or run. Times are in milliseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int socket, status;
  long missing;    // bytes of the answer that are still to come; -1 until its head is complete
  size_t held;     // bytes of the head in `head`
  char head[2048];
  double sent;
} Connection;

static char buffer[1 << 18];
static int poller, rooms = 1;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Milliseconds that the main thread of the process PID, if one is given in the environment, has run.
static double busy(void) {
  char path[64];
  unsigned long long ns = 0;
  if (!getenv("PID")) return 0;
  snprintf(path, sizeof path, "/proc/%s/schedstat", getenv("PID"));
  FILE *file = fopen(path, "r");
  if (!file || fscanf(file, "%llu", &ns) != 1) fail(path);
  fclose(file);
  return ns / 1e6;
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  char *text = calloc(1, 1 << 16);
  if (!fread(text, 1, (1 << 16) - 1, file)) fail(path);
  fclose(file);
  return text;
}

static void connect_to(Connection *c, int port) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int one = 1;
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  c->missing = -1;
  c->held = 0;
  if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&to, sizeof to)) fail("connect");
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event)) fail("epoll_ctl");
}

static void send_text(Connection *c, const char *text, size_t length) {
  c->sent = now();
  if (send(c->socket, text, length, 0) != (ssize_t)length) fail("send");
}

// Reads what has come; returns 1 when the answer is complete.
static int receive(Connection *c) {
  char *at = c->missing < 0 ? c->head + c->held : buffer;
  size_t room = c->missing < 0 ? sizeof c->head - 1 - c->held : sizeof buffer;
  ssize_t got = recv(c->socket, at, room, 0);
  if (got <= 0) fail("the server hung up");
  if (c->missing < 0) {
    c->held += got;
    c->head[c->held] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->status = atoi(c->head + 9);
    if (length && length < end) c->missing = atol(length + 17) - (c->head + c->held - end - 4);
    else if (c->status == 204) c->missing = 0;
    else if (!strcasestr(c->head, "\r\ntransfer-encoding: chunked")) fail("an answer of unknown length");
    else if (strcmp(c->head + c->held - 7, "\r\n0\r\n\r\n")) { // a short one, which is read whole
      if (c->held == sizeof c->head - 1) fail("an answer in too many pieces");
      return 0;
    }
  } else {
    c->missing -= got;
  }
  if (c->missing > 0) return 0;
  c->missing = -1;
  c->held = 0;
  return 1;
}

static int by_size(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return difference < 0 ? -1 : difference > 0;
}

static double share(double *sorted, long count, double part) {
  return count ? sorted[(long)(part * (count - 1))] : 0;
}

// Sends a request; one that names a room goes to the room whose turn it is.
static void ask(Connection *c, const char *request, long turn) {
  static char text[1 << 16];
  const char *place = strstr(request, "%room");
  int before = place ? place - request : 0;
  if (place) send_text(c, text, sprintf(text, "%.*sroom%ld%s", before, request, turn % rooms, place + 5));
  else send_text(c, request, strlen(request));
}

// Waits until all have waited for so long. Who was not let in, since too many came at once (Pushpin's 502), asks again.
static void settle_for(int ms, const char *get) {
  struct epoll_event event;
  for (double until = now() + ms, left; (left = until - now()) > 0;) {
    if (epoll_wait(poller, &event, 1, left + 1) <= 0) continue;
    Connection *c = event.data.ptr;
    if (!receive(c)) continue;
    if (!get || c->status != 502) fail("an answer before there was news");
    ask(c, get, 0);
    until = now() + ms;
  }
}

// Comes back with the cursor that an answer gave, if it gave one.
static void come_back(Connection *c, const char *get, long turn) {
  char text[4096];
  char *link = strcasestr(c->head, "\r\nlink: <?");
  if (!link) return ask(c, get, turn);
  link += 9;
  sprintf(text, "%.*s%.*s&wait=55%s", (int)strcspn(get, "?"), get, (int)strcspn(link, ">"), link, strstr(get, " HTTP/1.1\r\n"));
  ask(c, text, turn);
}

static void await_answer(Connection *c) {
  struct epoll_event event;
  do {
    if (epoll_wait(poller, &event, 1, 60000) <= 0) fail("no answer for a minute");
    if (event.data.ptr != c) fail("an answer out of turn");
  } while (!receive(c));
}

static void fanout(int port, const char *get, const char *post, int waiters, int rounds, int settle) {
  Connection *all = calloc(waiters + 2, sizeof *all);
  struct epoll_event events[1024];
  double *times = calloc(waiters, sizeof *times);
  const char *probe = getenv("PROBE") ? read_file(getenv("PROBE")) : NULL;
  int back = getenv("BACK") != NULL;
  Connection *publisher = &all[waiters], *prober = &all[waiters + 1];
  connect_to(publisher, port);
  if (back) { // a server that does not see them leave still holds those of the run before, and their files
    ask(publisher, post, 0);
    await_answer(publisher);
    usleep(500000);
  }
  connect_to(prober, port);
  for (int i = 0; i < waiters; i++) connect_to(&all[i], port);
  for (int round = 0; round < rounds; round++) {
    if (!back || round == 0) {
      for (int i = 0; i < waiters; i++) ask(&all[i], get, i);
      settle_for(settle, get);
    }
    double ran = busy(), acknowledged = 0, longest = 0;
    ask(publisher, post, 0);
    if (probe) ask(prober, probe, 0);
    int probing = probe != NULL;
    for (int served = 0; served < waiters || !acknowledged || probing;) {
      int ready = epoll_wait(poller, events, 1024, 60000);
      if (ready <= 0) fail("no answer for a minute");
      for (int i = 0; i < ready; i++) {
        Connection *c = events[i].data.ptr;
        if (!receive(c)) continue;
        if (c->status / 100 != 2) fail("an answer that is not 2xx");
        double took = now() - c->sent;
        if (c == publisher) acknowledged = took;
        else if (c == prober) {
          if (took > longest) longest = took;
          if (served < waiters) ask(prober, probe, 0);
          else probing = 0;
        } else {
          if (served == waiters) fail("more answers than waiters");
          times[served++] = now() - publisher->sent;
          if (back) come_back(c, get, c - all);
        }
      }
    }
    double cpu = busy() - ran;
    if (back) settle_for(settle, NULL);
    qsort(times, waiters, sizeof *times, by_size);
    printf("{\"first\":%.2f,\"half\":%.2f,\"last\":%.2f,\"acknowledged\":%.2f,\"longest\":%.2f,\"cpu\":%.1f,\"cycle\":%.1f}\n",
           times[0], share(times, waiters, .5), times[waiters - 1], acknowledged, longest, cpu, busy() - ran);
    fflush(stdout);
  }
}

// Reads away what comes on streams.
static void read_for(int ms) {
  struct epoll_event events[1024];
  for (double until = now() + ms, left; (left = until - now()) > 0;)
    for (int ready = epoll_wait(poller, events, 1024, left + 1), i = 0; i < ready; i++)
      if (recv(((Connection *)events[i].data.ptr)->socket, buffer, sizeof buffer, 0) <= 0) fail("a stream ended");
}

static void streams(int port, const char *get, const char *post, int count, int rounds, int settle) {
  Connection *all = calloc(count + 1, sizeof *all);
  struct epoll_event events[1024];
  double *times = calloc(count, sizeof *times);
  for (int i = 0; i <= count; i++) connect_to(&all[i], port);
  Connection *publisher = &all[count];
  for (int i = 0; i < count; i++) ask(&all[i], get, i);
  for (int round = 1; round <= rounds; round++) {
    read_for(settle);
    double ran = busy(), acknowledged = 0;
    ask(publisher, post, 0);
    for (int served = 0; served < count || !acknowledged;) {
      int ready = epoll_wait(poller, events, 1024, 60000);
      if (ready <= 0) fail("nothing for a minute");
      for (int i = 0; i < ready; i++) {
        Connection *c = events[i].data.ptr;
        if (c == publisher) {
          if (!receive(c)) continue;
          if (c->status / 100 != 2) fail("an answer that is not 2xx");
          acknowledged = now() - publisher->sent;
          continue;
        }
        ssize_t got = recv(c->socket, buffer, sizeof buffer, 0);
        if (got <= 0) fail("a stream ended");
        if (c->status == round || !memmem(buffer, got, "xxxxxxxxxx", 10)) continue; // signs of life
        c->status = round;
        times[served++] = now() - publisher->sent;
      }
    }
    double cpu = busy() - ran;
    qsort(times, count, sizeof *times, by_size);
    printf("{\"first\":%.2f,\"half\":%.2f,\"last\":%.2f,\"acknowledged\":%.2f,\"cpu\":%.1f}\n", times[0],
           share(times, count, .5), times[count - 1], acknowledged, cpu);
    fflush(stdout);
  }
}

static void loop(int port, const char *request, int connections, double seconds) {
  Connection *all = calloc(connections, sizeof *all);
  struct epoll_event events[1024];
  size_t space = 1 << 20;
  double *times = malloc(space * sizeof *times), begin = now(), end = begin + seconds * 1e3, at = begin;
  long done = 0, refused = 0, turn = 0;
  for (int i = 0; i < connections; i++) {
    connect_to(&all[i], port);
    ask(&all[i], request, turn++);
  }
  for (int open = connections; open > 0;) {
    int ready = epoll_wait(poller, events, 1024, 60000);
    if (ready <= 0) fail("no answer for a minute");
    for (int i = 0; i < ready; i++) {
      Connection *c = events[i].data.ptr;
      if (!receive(c)) continue;
      at = now();
      if (c->status / 100 != 2) refused++;
      if (done == (long)space) times = realloc(times, (space *= 2) * sizeof *times);
      times[done++] = at - c->sent;
      if (at < end) ask(c, request, turn++);
      else open--;
    }
  }
  qsort(times, done, sizeof *times, by_size);
  printf("{\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"refused\":%ld}\n", done / (at - begin) * 1e3,
         share(times, done, .5), share(times, done, .99), share(times, done, 1), refused);
}

static void ping(int port, int post_port, const char *get, const char *post, int times_count) {
  Connection reader = { 0 }, writer = { 0 };
  struct epoll_event event;
  double *times = calloc(times_count, sizeof *times);
  int late = 0;
  connect_to(&reader, port);
  connect_to(&writer, post_port);
  for (int i = 0; i < times_count; i++) {
    ask(&reader, get, 0);
    usleep(10000);
    ask(&writer, post, 0);
    for (int waiting = 3; waiting;) {
      if (epoll_wait(poller, &event, 1, 1000) <= 0) {
        // The poll was so slow to come that the message was there before it: it waits for the next one. But not often.
        if (waiting != 1 || ++late > 1 + times_count / 100) fail("no answer for a second");
        ask(&writer, post, 0);
        waiting = 3;
        continue;
      }
      Connection *c = event.data.ptr;
      if (!receive(c)) continue;
      if (c->status / 100 != 2) fail("an answer that is not 2xx");
      if (c == &reader) times[i] = now() - writer.sent;
      waiting &= c == &reader ? 2 : 1;
    }
  }
  qsort(times, times_count, sizeof *times, by_size);
  printf("{\"p50\":%.3f,\"p99\":%.3f}\n", share(times, times_count, .5), share(times, times_count, .99));
}

static void follow(int port, const char *path, const char *query) {
  Connection c = { 0 };
  char request[4096], next[1024];
  long pages = 0, bytes = 0;
  double begin = now();
  connect_to(&c, port);
  snprintf(next, sizeof next, "%s", query);
  for (;;) {
    send_text(&c, request, sprintf(request, "GET %s%s&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n", path, next));
    await_answer(&c);
    if (c.status != 200) fail("an answer that is not 200");
    long length = atol(strcasestr(c.head, "\r\ncontent-length:") + 17);
    char *link = strcasestr(c.head, "\r\nlink: <") + 9;
    snprintf(next, sizeof next, "%.*s", (int)strcspn(link, ">"), link);
    if (length == 2) break;
    pages++;
    bytes += length;
  }
  printf("{\"pages\":%ld,\"bytes\":%ld,\"ms\":%.1f}\n", pages, bytes, now() - begin);
}

static void hold(int port, const char *get, int waiters) {
  Connection *all = calloc(waiters, sizeof *all);
  for (int i = 0; i < waiters; i++) connect_to(&all[i], port);
  for (int i = 0; i < waiters; i++) ask(&all[i], get, i);
  puts("{\"held\":true}");
  fflush(stdout);
  Connection input = { 0 };
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = &input };
  if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event)) fail("epoll_ctl");
  for (;;) {
    if (epoll_wait(poller, &event, 1, -1) <= 0) continue;
    Connection *c = event.data.ptr;
    if (c == &input) return;
    if (strstr(get, "/events")) {
      if (recv(c->socket, buffer, sizeof buffer, 0) <= 0) fail("a stream ended");
    } else if (receive(c)) {
      if (c->status / 100 != 2) fail("an answer that is not 2xx");
      come_back(c, get, c - all);
    }
  }
}

int main(int count, char **given) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  poller = epoll_create1(0);
  if (getenv("ROOMS")) rooms = atoi(getenv("ROOMS"));
  if (count < 4) return 2;
  const char *command = given[1];
  int port = atoi(given[2]);
  if (!strcmp(command, "fanout") && count == 8)
    fanout(port, read_file(given[3]), read_file(given[4]), atoi(given[5]), atoi(given[6]), atoi(given[7]));
  else if (!strcmp(command, "streams") && count == 8)
    streams(port, read_file(given[3]), read_file(given[4]), atoi(given[5]), atoi(given[6]), atoi(given[7]));
  else if (!strcmp(command, "loop") && count == 6) loop(port, read_file(given[3]), atoi(given[4]), atof(given[5]));
  else if (!strcmp(command, "ping") && count == 7)
    ping(port, atoi(given[3]), read_file(given[4]), read_file(given[5]), atoi(given[6]));
  else if (!strcmp(command, "follow") && count == 5) follow(port, given[3], given[4]);
  else if (!strcmp(command, "hold") && count == 5) hold(port, read_file(given[3]), atoi(given[4]));
  else return 2;
  return 0;
}
