/* The settings of the terminal on standard input while this process has changed them: SIGTERM and SIGHUP then give the terminal back as it
 * was before they end the process. Confined to one thread, but for nexa_terminal_restore. */
#ifndef NEXA_TERMINAL_H
#define NEXA_TERMINAL_H

/* Keeps the settings of now; they are about to be changed. */
void nexa_terminal_keep(void);

/* They are as they were again. */
void nexa_terminal_forget(void);

/* Sets what was kept and not forgotten. Any thread and any signal handler may call it. */
void nexa_terminal_restore(void);

#endif
