#include "nexa_poll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

enum { capacity_max = 1024 };

int nexa_poll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int nexa_poll_watch(int poll_fd, int fd, uint32_t token, bool writable, bool change) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0u), .data.u32 = token};
    return epoll_ctl(poll_fd, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int nexa_poll_wait(int poll_fd, struct nexa_poll_event *events, int capacity, int64_t timeout_ns) {
    struct epoll_event ready[capacity_max];
    if (capacity > capacity_max) capacity = capacity_max;
    struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int count = epoll_pwait2(poll_fd, ready, capacity, timeout_ns < 0 ? NULL : &limit, NULL);
    if (count < 0 && errno == ENOSYS) { /* before Linux 5.11: milliseconds must do */
        int64_t timeout_ms = timeout_ns < 0 ? -1 : timeout_ns / 1000000;
        count = epoll_wait(poll_fd, ready, capacity, timeout_ms > 1000000 ? 1000000 : (int)timeout_ms);
    }
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t bits = ready[i].events;
        events[i].token = ready[i].data.u32;
        events[i].ready = (bits & EPOLLIN ? NEXA_POLL_READABLE : 0u) | (bits & EPOLLOUT ? NEXA_POLL_WRITABLE : 0u)
            | (bits & (EPOLLERR | EPOLLHUP) ? NEXA_POLL_FAILED : 0u);
    }
    return count;
}
