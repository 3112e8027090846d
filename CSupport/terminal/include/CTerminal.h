/* The terminal's side of the shell, where C is needed: functions with variable arguments, a signal handler, and what may happen between
 * fork and exec. */
#ifndef CTERMINAL_H
#define CTERMINAL_H

#include "nexa_child.h"
#include "nexa_edit.h"
#include "nexa_signal.h"
#include "nexa_terminal.h"

#endif
