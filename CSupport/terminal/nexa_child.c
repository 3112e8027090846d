#include "nexa_child.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t nexa_child_start(char *const arguments[], char *const environment[], int output) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) return child;
    /* Only what is safe between fork and exec. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int nothing = open("/dev/null", O_RDONLY);
    if (getppid() == parent && setpgid(0, 0) == 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0)
        execve(arguments[0], arguments, environment);
    _exit(127);
}
