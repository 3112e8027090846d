/* The terminal's side of the shell, where C is needed: functions with variable arguments, and a signal handler. */
#ifndef CTERMINAL_H
#define CTERMINAL_H

#include "nexa_edit.h"
#include "nexa_signal.h"

#endif
