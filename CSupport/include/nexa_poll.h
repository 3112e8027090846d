/* epoll(7) for Swift, which the Glibc module leaves out: readiness of many descriptors in one thread. Thin names over the system
 * calls: each returns 0 (or a count) or a negative errno, keeps no state and never blocks longer than the caller says. */
#ifndef NEXA_POLL_H
#define NEXA_POLL_H

#include <stdbool.h>
#include <stdint.h>

#define NEXA_POLL_READABLE 1u
#define NEXA_POLL_WRITABLE 2u
#define NEXA_POLL_FAILED 4u

/* One ready descriptor: the token it was added with, and what it is ready for. */
struct nexa_poll_event {
    uint32_t token;
    uint32_t ready;
};

/* A new poll descriptor, or a negative errno. Close it with close(2). */
int nexa_poll_create(void);

/* Watches `fd` for reading, and for writing too when `writable`; `change` alters the watch of an fd that was added before. */
int nexa_poll_watch(int poll_fd, int fd, uint32_t token, bool writable, bool change);

/* Waits until something is ready or `timeout_ns` passed (negative: for ever) and writes at most `capacity` (<= 1024) events.
 * Returns their number; an interrupted wait returns 0. */
int nexa_poll_wait(int poll_fd, struct nexa_poll_event *events, int capacity, int64_t timeout_ns);

#endif
