/* A program that lives no longer than this process. */
#ifndef NEXA_CHILD_H
#define NEXA_CHILD_H

#include <sys/types.h>

/* Starts `arguments[0]` in `environment`, both lists with NULL at the end, with its output and its errors on the descriptor `output`,
 * nothing to read, and no signal held back. However this process ends, the system then sends the child SIGTERM. Ctrl-C at the terminal
 * does not reach it. Returns -1 with errno when it cannot be started; a program that cannot be executed ends with 127. */
pid_t nexa_child_start(char *const arguments[], char *const environment[], int output);

#endif
