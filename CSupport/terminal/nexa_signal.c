#include "nexa_signal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static int ends[2] = {-1, -1};

static void tell(int signal) {
    int kept = errno;
    unsigned char byte = (unsigned char)signal;
    /* A full pipe says enough already. */
    ssize_t written = write(ends[1], &byte, 1);
    (void)written;
    errno = kept;
}

int nexa_signal_catch(const int *signals, int count) {
    if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
    struct sigaction action = {.sa_handler = tell, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < count; i++) sigaction(signals[i], &action, NULL);
    return ends[0];
}

int nexa_signal_take(void) {
    unsigned char byte;
    return read(ends[0], &byte, 1) == 1 ? byte : 0;
}
