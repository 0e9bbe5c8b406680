// A database that is not on this machine: a TCP proxy that passes everything on late, by so many microseconds each way. In C, since a
// timer of Deno's knows milliseconds only.
//
//   distance PORT MICROSECONDS      prints the port where it listens, and ends with its standard input
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

// What has come, in the order in which it is due: all of it is late by the same time.
typedef struct Chunk {
  struct Chunk *next;
  struct End *to;
  double due;
  size_t length; // 0: the other side has ended
  char bytes[];
} Chunk;

// One side of a connection.
typedef struct End {
  int socket;
  struct End *peer;
} End;

static Chunk *first, **last = &first;
static int poller;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what) {
  fprintf(stderr, "distance: %s: %s\n", what, strerror(errno));
  exit(1);
}

static End *watch(int socket) {
  End *end = calloc(1, sizeof *end);
  int one = 1;
  end->socket = socket;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };
  if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
  return end;
}

static int connect_to(int port) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to)) fail("connect");
  return s;
}

static void take(End *from, double late) {
  static char buffer[1 << 16];
  ssize_t got = recv(from->socket, buffer, sizeof buffer, 0);
  if (got <= 0 && epoll_ctl(poller, EPOLL_CTL_DEL, from->socket, NULL)) fail("epoll_ctl");
  if (got < 0) got = 0;
  Chunk *chunk = malloc(sizeof *chunk + got);
  *chunk = (Chunk){ .to = from->peer, .due = now() + late, .length = got };
  memcpy(chunk->bytes, buffer, got);
  *last = chunk;
  last = &chunk->next;
}

// Ends are never freed: there are as many as the database has had connections.
static void pass_on(Chunk *chunk) {
  if (!chunk->length) shutdown(chunk->to->socket, SHUT_WR);
  for (size_t at = 0; at < chunk->length;) {
    ssize_t sent = send(chunk->to->socket, chunk->bytes + at, chunk->length - at, MSG_NOSIGNAL);
    if (sent < 0) break; // it has left
    at += sent;
  }
  if (!(first = chunk->next)) last = &first;
  free(chunk);
}

int main(int count, char **given) {
  if (count != 3) return 2;
  int target = atoi(given[1]);
  double late = atof(given[2]);
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 100) || getsockname(listener, (struct sockaddr *)&at, &size)) fail("listen");
  poller = epoll_create1(0);
  End *door = watch(listener), *input = watch(dup(0));
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    while (first && first->due <= now()) pass_on(first);
    double left = first ? first->due - now() : 1e9;
    if (left < 0) left = 0;
    struct timespec timeout = { .tv_sec = left / 1e6, .tv_nsec = (long)(left * 1e3) % 1000000000 };
    struct epoll_event events[64];
    int ready = epoll_pwait2(poller, events, 64, &timeout, NULL);
    for (int i = 0; i < ready; i++) {
      End *end = events[i].data.ptr;
      if (end == input) return 0;
      if (end != door) {
        take(end, late);
        continue;
      }
      End *client = watch(accept(listener, NULL, NULL)), *server = watch(connect_to(target));
      client->peer = server;
      server->peer = client;
    }
  }
}
