#include "nexa_terminal.h"

#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

static struct termios kept;
static volatile sig_atomic_t is_kept;

void nexa_terminal_restore(void) {
    /* In the background the terminal is another's, and touching it would stop this process. */
    if (is_kept && tcgetpgrp(STDIN_FILENO) == getpgrp()) tcsetattr(STDIN_FILENO, TCSANOW, &kept);
}

static void end(int signal) {
    nexa_terminal_restore();
    /* SA_RESETHAND: once this handler has returned it ends the process. */
    raise(signal);
}

/* What is ignored, as under nohup, stays so. */
static void catch(int signal) {
    struct sigaction before, action = {.sa_handler = end, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, NULL, &before) == 0 && before.sa_handler == SIG_DFL) sigaction(signal, &action, NULL);
}

void nexa_terminal_keep(void) {
    if (tcgetattr(STDIN_FILENO, &kept) != 0) return;
    is_kept = 1;
    catch(SIGTERM);
    catch(SIGHUP);
}

void nexa_terminal_forget(void) { is_kept = 0; }
